/** Limits of background work, set by an operator while the cluster serves, for all its gateways. */
import type { Catalog } from "../catalog/catalog.ts";
import { liveLimitsKey } from "../catalog/keys.ts";
import type { Kv, KvAtomic } from "../catalog/kv.ts";
import {
  decodeLiveLimits,
  encodeLiveLimits,
  LIMITED_WORK,
  type Limit,
  type LimitedWork,
  type LiveLimits,
  NO_LIVE_LIMITS,
  type WorkLimits,
} from "../catalog/records/live-limits.ts";

/** `null` takes a limit back to what is configured; what is absent stays as it is. */
export interface WorkLimitsChange {
  readonly copiesPerSecond?: Limit | null;
  readonly bandwidthMib?: Limit | null;
}

export type LiveLimitsChange = Readonly<Partial<Record<LimitedWork, WorkLimitsChange>>>;

/** @throws CatalogError, RecordError */
export async function loadLiveLimits(kv: Kv): Promise<LiveLimits> {
  const entry = await kv.get(liveLimitsKey());
  return entry === undefined ? NO_LIVE_LIMITS : decodeLiveLimits(entry.value);
}

/** Enters a change of the limits in a commit, which fails when somebody else changes them first. @throws CatalogError */
export async function enterLiveLimits(catalog: Catalog, atomic: KvAtomic, change: LiveLimitsChange): Promise<void> {
  const key = liveLimitsKey();
  const entry = await catalog.kv.get(key);
  const after = changed(entry === undefined ? NO_LIVE_LIMITS : decodeLiveLimits(entry.value), change);
  atomic.check(key, entry?.version ?? null);
  if (LIMITED_WORK.some((work) => Object.keys(after[work]).length > 0)) atomic.set(key, encodeLiveLimits(after));
  else if (entry !== undefined) atomic.delete(key);
}

function changed(before: LiveLimits, { rebalance, repair, scrub }: LiveLimitsChange): LiveLimits {
  return {
    rebalance: changedWork(before.rebalance, rebalance),
    repair: changedWork(before.repair, repair),
    scrub: changedWork(before.scrub, scrub),
  };
}

function changedWork(before: WorkLimits, change: WorkLimitsChange = {}): WorkLimits {
  const copiesPerSecond = changedLimit(before.copiesPerSecond, change.copiesPerSecond);
  const bandwidthMib = changedLimit(before.bandwidthMib, change.bandwidthMib);
  return {
    ...(copiesPerSecond === undefined ? {} : { copiesPerSecond }),
    ...(bandwidthMib === undefined ? {} : { bandwidthMib }),
  };
}

function changedLimit(before: Limit | undefined, change: Limit | null | undefined): Limit | undefined {
  return change === null ? undefined : (change ?? before);
}
