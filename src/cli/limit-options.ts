/** The options of `bulkhead config set` that limit background work, and how the limits are shown. */
import type { Command } from "commander";
import type { LiveSettings } from "../admin/topology-types.ts";
import { CliError, EXIT } from "./errors.ts";

export interface LimitOptions {
  readonly rebalanceRate?: string;
  readonly rebalanceBandwidth?: string;
  readonly repairRate?: string;
  readonly repairBandwidth?: string;
  readonly scrubRate?: string;
  readonly scrubBandwidth?: string;
}

/** Takes a limit back to what the configuration says. */
const CONFIGURED = "configured";

export function withLimitOptions(command: Command): Command {
  return command
    .option("--rebalance-rate <number|configured>", "copies a second of jobs that only move")
    .option("--rebalance-bandwidth <MiB|none|configured>", "MiB a second, likewise")
    .option("--repair-rate <number|auto|configured>", "copies a second of what restores redundancy")
    .option("--repair-bandwidth <MiB|auto|configured>", "MiB a second, likewise")
    .option("--scrub-rate <number|configured>", "copies a second that a scrub reads, of each node")
    .option("--scrub-bandwidth <MiB|configured>", "MiB a second, likewise");
}

/** As the admin API takes it; `undefined` where none is to be changed. @throws CliError */
export function limitsOf(options: LimitOptions): Record<string, unknown> | undefined {
  const works = {
    rebalance: work("--rebalance", options.rebalanceRate, options.rebalanceBandwidth),
    repair: work("--repair", options.repairRate, options.repairBandwidth),
    scrub: work("--scrub", options.scrubRate, options.scrubBandwidth),
  };
  const given = Object.entries(works).filter(([, limits]) => Object.keys(limits).length > 0);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

export function limitFields({ limits }: LiveSettings): [label: string, text: string][] {
  const text = ({ rate_limit_per_second: rate, bandwidth_limit_mib: bandwidth, set_live: live }: Work): string => {
    const copies = typeof rate === "number" ? `${rate} copies/s` : `${rate} copies`;
    const bytes = typeof bandwidth === "number" ? `${bandwidth} MiB/s` : `${bandwidth} bytes`;
    return `${copies}, ${bytes}${live.length === 0 ? "" : " (set live)"}`;
  };
  return [
    ["Rebalance", text(limits.rebalance)],
    ["Repair", text(limits.repair)],
    ["Scrub", text(limits.scrub)],
  ];
}

type Work = LiveSettings["limits"]["rebalance"];

function work(option: string, rate: string | undefined, bandwidth: string | undefined): Record<string, unknown> {
  return {
    ...(rate === undefined ? {} : { rate_limit_per_second: limit(`${option}-rate`, rate) }),
    ...(bandwidth === undefined ? {} : { bandwidth_limit_mib: limit(`${option}-bandwidth`, bandwidth) }),
  };
}

/** Which words go where is the admin API's to say. */
function limit(option: string, text: string): number | string | null {
  if (text === CONFIGURED) return null;
  if (text === "none" || text === "auto") return text;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new CliError(EXIT.usage, `${option} takes a whole number from 1 on or a word, not ${text}`);
}
