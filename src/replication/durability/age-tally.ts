/** How long ago the copies on a node were verified, counted; and how far the pass that counts is. */
import type { KvKey } from "../../catalog/kv.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "../../catalog/records/codec.ts";
import { pack } from "../../catalog/tuple.ts";
import { copyKeyBytes, copyKeyFromBytes } from "../../nodes/copy-key.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import { AGE_BOUNDS_SECONDS } from "../../observability/verified-age-metrics.ts";
import { type Id, idBytes } from "../../shared/ids.ts";
import type { RecordCodec } from "../scrub/local-record.ts";

export interface AgeTally {
  /** Copies in each bucket of AGE_BOUNDS_SECONDS alone, and last those above all bounds. */
  readonly counts: readonly number[];
  /** Of the known ages, in whole seconds. */
  readonly sumSeconds: number;
  readonly oldestSeconds: number;
  /** Copies of which it is not on record when they were verified. */
  readonly never: number;
}

export interface AgePass {
  readonly startedAtMs: number;
  readonly tally: AgeTally;
}

export interface AgeState {
  /** The pass under way; `after` is the last copy that it has counted. */
  readonly pass?: AgePass & { readonly after?: CopyKey };
  readonly last?: AgePass & { readonly endedAtMs: number };
}

export const NO_AGES: AgeTally = {
  counts: [...AGE_BOUNDS_SECONDS, 0].map(() => 0),
  sumSeconds: 0,
  oldestSeconds: 0,
  never: 0,
};

/** The tally with more ages, in milliseconds; `undefined` for one that is not known. */
export function withAges(tally: AgeTally, agesMs: readonly (number | undefined)[]): AgeTally {
  const counts = [...tally.counts];
  let { sumSeconds, oldestSeconds, never } = tally;
  for (const ageMs of agesMs) {
    if (ageMs === undefined) {
      never++;
      continue;
    }
    const age = Math.max(0, Math.round(ageMs / 1000));
    const found = AGE_BOUNDS_SECONDS.findIndex((bound) => age <= bound);
    const bucket = found < 0 ? AGE_BOUNDS_SECONDS.length : found;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    sumSeconds += age;
    oldestSeconds = Math.max(oldestSeconds, age);
  }
  return { counts, sumSeconds, oldestSeconds, never };
}

/** Copies of known age. */
export function copiesIn({ counts }: AgeTally): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The bound that at least half of the known ages do not exceed; the oldest where that is less. */
export function medianSeconds(tally: AgeTally): number | undefined {
  const copies = copiesIn(tally);
  if (copies === 0) return undefined;
  let count = 0;
  for (const [bucket, each] of tally.counts.entries()) {
    count += each;
    if (count * 2 >= copies) return Math.min(AGE_BOUNDS_SECONDS[bucket] ?? tally.oldestSeconds, tally.oldestSeconds);
  }
  return tally.oldestSeconds;
}

export const verifiedAgesKey = (nodeUuid: Id): KvKey => pack(["local", "verified-ages", idBytes(nodeUuid)]);

const VERIFIED_AGES_FORMAT = 1;

export const verifiedAgesCodec: RecordCodec<AgeState> = {
  encode({ pass, last }) {
    return encodeRecord(VERIFIED_AGES_FORMAT, [
      pass === undefined ? null : [passFields(pass), pass.after === undefined ? null : copyKeyBytes(pass.after)],
      last === undefined ? null : [passFields(last), last.endedAtMs],
    ]);
  },
  decode(value) {
    const reader = decodeRecord("verified ages", value, VERIFIED_AGES_FORMAT);
    const pass = reader.optional((fields) => {
      const own = readPass(fields.nested());
      const after = fields.optionalBytes();
      return own && { ...own, ...(after === undefined ? {} : { after: copyKeyFromBytes(after) }) };
    });
    const last = reader.optional((fields) => {
      const own = readPass(fields.nested());
      return own && { ...own, endedAtMs: fields.int() };
    });
    return { ...(pass && { pass }), ...(last && { last }) };
  },
};

function passFields({ startedAtMs, tally }: AgePass): Field[] {
  const { counts, sumSeconds, oldestSeconds, never } = tally;
  const buckets = counts.map((count, bucket): Field[] => [AGE_BOUNDS_SECONDS[bucket] ?? null, count]);
  return [startedAtMs, buckets, sumSeconds, oldestSeconds, never];
}

/** `undefined` where it was counted in other buckets: then it is counted anew. */
function readPass(reader: RecordReader): AgePass | undefined {
  const startedAtMs = reader.int();
  const buckets = reader.list((bucket) => ({ bound: bucket.optionalInt(), count: bucket.int() }));
  const tally = {
    counts: buckets.map(({ count }) => count),
    sumSeconds: reader.int(),
    oldestSeconds: reader.int(),
    never: reader.int(),
  };
  const same = buckets.length === NO_AGES.counts.length;
  if (!same || buckets.some(({ bound }, bucket) => bound !== AGE_BOUNDS_SECONDS[bucket])) return undefined;
  return { startedAtMs, tally };
}
