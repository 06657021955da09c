/**
 * How fast background work may be: what an operator set live, else what the configuration says, which may be read again.
 * Every gateway takes up what is set within an interval; the work under way goes on by it.
 */
import { isDeepStrictEqual } from "node:util";
import type { LimitsInForce } from "../admin/topology-control.ts";
import type { Kv } from "../catalog/kv.ts";
import { type Limit, type LiveLimits, NO_LIVE_LIMITS, type WorkLimits } from "../catalog/records/live-limits.ts";
import { loadLiveLimits } from "../cluster/live-limits.ts";
import type { StorageConfig } from "../config/config.ts";
import type { MoveRates } from "../replication/jobs/move-limits.ts";
import type { RestoreRates } from "../replication/jobs/restore-pace.ts";
import type { ScrubLimits } from "../replication/scrub/copy-scrubber.ts";

const MIB_BYTES = 2 ** 20;

type ConfiguredLimits = Pick<StorageConfig, "rebalance" | "repair" | "scrub">;

/** What goes by the limits. */
export interface Limited {
  readonly moving: { set(rates: MoveRates): void };
  readonly restoring: { set(rates: RestoreRates): void };
  readonly scrubbing: { setRates(rates: Pick<ScrubLimits, "copiesPerSecond" | "bytesPerSecond">): void };
}

export class WorkLimitsInForce {
  readonly #kv: Kv;
  readonly #limited: Limited;
  #configured: ConfiguredLimits;
  #live: LiveLimits = NO_LIVE_LIMITS;
  #applied: LimitsInForce["limits"] | undefined;

  constructor(kv: Kv, configured: ConfiguredLimits, limited: Limited) {
    this.#kv = kv;
    this.#configured = configured;
    this.#limited = limited;
  }

  /** What the configuration says of rebalances now. */
  get rebalance(): StorageConfig["rebalance"] {
    return this.#configured.rebalance;
  }

  /** The configuration was read again. */
  configure({ rebalance, repair, scrub }: ConfiguredLimits): void {
    this.#configured = { rebalance, repair, scrub };
    this.#apply();
  }

  /** Takes up what is set live now. @throws CatalogError, RecordError */
  async refresh(): Promise<void> {
    this.#live = await loadLiveLimits(this.#kv);
    this.#apply();
  }

  inForce(): LimitsInForce {
    const { rebalance, repair, scrub } = this.#configured;
    return {
      live: this.#live,
      limits: {
        rebalance: over(this.#live.rebalance, {
          copiesPerSecond: rebalance.rateLimitPerSecond,
          bandwidthMib: mib(rebalance.bandwidthLimitBytesPerSecond ?? "none"),
        }),
        repair: over(this.#live.repair, {
          copiesPerSecond: repair.rateLimitPerSecond,
          bandwidthMib: mib(repair.bandwidthLimitBytesPerSecond),
        }),
        scrub: over(this.#live.scrub, {
          copiesPerSecond: scrub.copiesPerSecond,
          bandwidthMib: mib(scrub.bytesPerSecond),
        }),
      },
    };
  }

  #apply(): void {
    const { limits } = this.inForce();
    if (isDeepStrictEqual(limits, this.#applied)) return;
    this.#applied = limits;
    const { rebalance, repair, scrub } = limits;
    const { moving, restoring, scrubbing } = this.#limited;
    moving.set({
      copiesPerSecond: orUnlimited(rebalance.copiesPerSecond),
      bytesPerSecond: orUnlimited(bytes(rebalance.bandwidthMib)),
    });
    restoring.set({
      copiesPerSecond: orAuto(repair.copiesPerSecond),
      bytesPerSecond: orAuto(bytes(repair.bandwidthMib)),
    });
    scrubbing.setRates({
      copiesPerSecond: orUnlimited(scrub.copiesPerSecond) ?? Number.POSITIVE_INFINITY,
      bytesPerSecond: orUnlimited(bytes(scrub.bandwidthMib)) ?? Number.POSITIVE_INFINITY,
    });
  }
}

function over(live: WorkLimits, configured: Required<WorkLimits>): Required<WorkLimits> {
  return { ...configured, ...live };
}

function mib(bytesPerSecond: Limit): Limit {
  return typeof bytesPerSecond === "number" ? bytesPerSecond / MIB_BYTES : bytesPerSecond;
}

function bytes(bandwidthMib: Limit): Limit {
  return typeof bandwidthMib === "number" ? bandwidthMib * MIB_BYTES : bandwidthMib;
}

function orUnlimited(limit: Limit): number | undefined {
  return typeof limit === "number" ? limit : undefined;
}

function orAuto(limit: Limit): number | "auto" {
  return typeof limit === "number" ? limit : "auto";
}
