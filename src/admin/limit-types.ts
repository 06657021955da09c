/** What the admin API is sent and tells of the limits of background work. */
import * as z from "zod";
import {
  LIMITED_WORK,
  type Limit,
  type LimitedWork,
  type LimitWord,
  type WorkLimits,
} from "../catalog/records/live-limits.ts";
import type { LiveLimitsChange, WorkLimitsChange } from "../cluster/live-limits.ts";
import type { LimitsInForce } from "./topology-control.ts";

/** As the configuration has it. */
const LIMIT_MAX = 100_000;

const limit = z.union([z.number().positive(), z.enum(["none", "auto"])]);

const workLimitsSchema = z.object({
  rate_limit_per_second: limit.meta({ description: "copies a second; a scrub's are of each node" }),
  bandwidth_limit_mib: limit.meta({ description: "MiB a second, likewise" }),
  set_live: z
    .array(z.enum(["rate_limit_per_second", "bandwidth_limit_mib"]))
    .meta({ description: "those that were set while the cluster served; the others are the configuration's" }),
});

export const limitsSchema = z
  .object({ rebalance: workLimitsSchema, repair: workLimitsSchema, scrub: workLimitsSchema })
  .meta({ id: "WorkLimits" });
type LimitsAnswer = z.infer<typeof limitsSchema>;

/** A whole number, one of the words that the configuration takes there, or null. */
function changeOf<W extends LimitWord>(rateWords: readonly W[], bandwidthWords: readonly W[]) {
  const of = (words: readonly W[]) => {
    const number = z.number().int().min(1).max(LIMIT_MAX);
    return (words.length === 0 ? number : z.union([number, z.enum(words)])).nullable().optional();
  };
  return z.strictObject({ rate_limit_per_second: of(rateWords), bandwidth_limit_mib: of(bandwidthWords) }).optional();
}

export const limitsChangeSchema = z
  .strictObject({
    rebalance: changeOf<LimitWord>([], ["none"]),
    repair: changeOf<LimitWord>(["auto"], ["auto"]),
    scrub: changeOf<LimitWord>([], []),
  })
  .meta({ id: "WorkLimitsChange", description: "null takes a limit back to what is configured" });
type LimitsRequest = z.infer<typeof limitsChangeSchema>;

export function limitsOf({ limits, live }: LimitsInForce): LimitsAnswer {
  const of = (work: LimitedWork): LimitsAnswer[LimitedWork] => ({
    rate_limit_per_second: limits[work].copiesPerSecond,
    bandwidth_limit_mib: limits[work].bandwidthMib,
    set_live: setLive(live[work]),
  });
  return { rebalance: of("rebalance"), repair: of("repair"), scrub: of("scrub") };
}

export function limitsChange(request: LimitsRequest): LiveLimitsChange {
  return Object.fromEntries(
    LIMITED_WORK.flatMap((work) => {
      const change = request[work];
      return change === undefined ? [] : [[work, workChange(change)]];
    }),
  );
}

function setLive({ copiesPerSecond, bandwidthMib }: WorkLimits): LimitsAnswer[LimitedWork]["set_live"] {
  return [
    ...(copiesPerSecond === undefined ? [] : (["rate_limit_per_second"] as const)),
    ...(bandwidthMib === undefined ? [] : (["bandwidth_limit_mib"] as const)),
  ];
}

function workChange(change: {
  readonly rate_limit_per_second?: Limit | null | undefined;
  readonly bandwidth_limit_mib?: Limit | null | undefined;
}): WorkLimitsChange {
  const { rate_limit_per_second: copiesPerSecond, bandwidth_limit_mib: bandwidthMib } = change;
  return {
    ...(copiesPerSecond === undefined ? {} : { copiesPerSecond }),
    ...(bandwidthMib === undefined ? {} : { bandwidthMib }),
  };
}
