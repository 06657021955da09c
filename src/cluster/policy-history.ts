/**
 * The factors that there were before: what was written under one of them keeps the copies that it was planned with, so
 * whoever raises the factor has to know since when it holds.
 */
import type { Catalog } from "../catalog/catalog.ts";
import { policyHistoryKey } from "../catalog/keys.ts";
import type { KvAtomic } from "../catalog/kv.ts";
import { decodeRecord, encodeRecord } from "../catalog/records/codec.ts";
import type { ReplicationPolicy } from "../placement/topology.ts";
import type { Clock } from "../shared/clock.ts";

export interface PastFactor {
  readonly factor: number;
  /** Wall clock, for display. */
  readonly untilMs: number;
}

const FORMAT = 1;
/** Changes that are kept on record. */
const PAST_FACTORS_MAX = 16;

/**
 * Puts a change of the factor on record, in the commit that makes it.
 * @throws CatalogError
 */
export async function enterPastFactor(
  catalog: Catalog,
  atomic: KvAtomic,
  change: { readonly before: FactorOf; readonly after: FactorOf; readonly clock: Clock },
): Promise<void> {
  const { before, after, clock } = change;
  if (before.factor === after.factor) return;
  const entry = await catalog.kv.get(policyHistoryKey());
  const past = entry === undefined ? [] : decodePolicyHistory(entry.value);
  const ended = { factor: before.factor, untilMs: clock.nowMs() };
  atomic.set(policyHistoryKey(), encodePolicyHistory([ended, ...past].slice(0, PAST_FACTORS_MAX)));
}

type FactorOf = Pick<ReplicationPolicy, "factor">;

/** The last ones first. */
export function encodePolicyHistory(past: readonly PastFactor[]): Buffer {
  return encodeRecord(FORMAT, [past.map(({ factor, untilMs }) => [factor, untilMs])]);
}

export function decodePolicyHistory(value: Uint8Array): PastFactor[] {
  const reader = decodeRecord("policy history", value, FORMAT);
  return reader.list((past) => ({ factor: past.int(), untilMs: past.int() }));
}
