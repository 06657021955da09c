/** A key-value store so naive that it is plainly right, and the random commits that the contract tries on it. */
import fc from "fast-check";
import type { KvAtomic, KvCommitResult, KvEntry, KvRange } from "../../../src/catalog/kv.ts";

export interface ModelEntry {
  /** In hexadecimal, which sorts as the bytes do. */
  readonly key: string;
  readonly value: string;
  readonly version: number;
}

export type ModelCheck =
  /** That the entry is still what an earlier look at it found. */
  | { readonly kind: "version"; readonly key: Buffer; readonly version: number | null }
  | { readonly kind: "empty"; readonly range: KvRange };

export type ModelMutation =
  | { readonly kind: "set"; readonly key: Buffer; readonly value: Buffer }
  | { readonly kind: "delete"; readonly key: Buffer }
  | { readonly kind: "sum"; readonly key: Buffer; readonly deltas: readonly number[] };

export interface ModelCommit {
  readonly checks: readonly ModelCheck[];
  readonly mutations: readonly ModelMutation[];
}

export class KvModel {
  readonly #entries = new Map<string, ModelEntry>();

  get(key: Uint8Array): ModelEntry | undefined {
    return this.#entries.get(hex(key));
  }

  list(range: KvRange, limit: number, reverse: boolean): ModelEntry[] {
    const found = [...this.#entries.values()]
      .filter(({ key }) => key >= hex(range.start) && key < hex(range.end))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return (reverse ? found.reverse() : found).slice(0, limit);
  }

  holds(check: ModelCheck): boolean {
    if (check.kind === "version") return (this.get(check.key)?.version ?? null) === check.version;
    return this.list(check.range, 1, false).length === 0;
  }

  apply(mutations: readonly ModelMutation[], version: number): void {
    for (const mutation of mutations) {
      const key = hex(mutation.key);
      if (mutation.kind === "delete") this.#entries.delete(key);
      else if (mutation.kind === "set") this.#entries.set(key, { key, value: hex(mutation.value), version });
      else this.#entries.set(key, { key, value: sum(this.get(mutation.key)?.value ?? "", mutation.deltas), version });
    }
  }
}

/** Counters as hexadecimal text, 16 digits each: another way than the one under test. */
function sum(value: string, deltas: readonly number[]): string {
  const counters = value.match(/.{16}/g) ?? [];
  const count = Math.max(counters.length, deltas.length);
  return Array.from({ length: count }, (_, index) => {
    const before = BigInt.asIntN(64, BigInt(`0x${counters[index] ?? "0"}`));
    const now = BigInt.asUintN(64, before + BigInt(deltas[index] ?? 0));
    return now.toString(16).padStart(16, "0");
  }).join("");
}

export function addToAtomic(atomic: KvAtomic, commit: ModelCommit): Promise<KvCommitResult> {
  for (const check of commit.checks) {
    if (check.kind === "version") atomic.check(check.key, check.version);
    else atomic.checkEmpty(check.range);
  }
  for (const mutation of commit.mutations) {
    if (mutation.kind === "set") atomic.set(mutation.key, mutation.value);
    else if (mutation.kind === "delete") atomic.delete(mutation.key);
    else atomic.sum(mutation.key, mutation.deltas);
  }
  return atomic.commit();
}

export function modelEntryOf(entry: KvEntry): ModelEntry {
  return { key: hex(entry.key), value: hex(entry.value), version: entry.version };
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Few enough keys that they meet, with the bytes at which an order of text or of signed bytes would differ. */
export const keyParts: fc.Arbitrary<Buffer> = fc
  .array(fc.constantFrom(0x00, 0x01, 0x61, 0x7f, 0x80, 0xfe, 0xff), { maxLength: 3 })
  .map((bytes) => Buffer.from(bytes));

export interface Drawn<T> {
  /** Puts the drawn keys below `prefix`, so that runs do not meet in one store. */
  below(prefix: Buffer, versionOf: (key: Buffer) => number | null): T;
}

function place(prefix: Buffer, part: Buffer): Buffer {
  return Buffer.concat([prefix, part]);
}

export const ranges: fc.Arbitrary<Drawn<KvRange>> = fc
  .tuple(keyParts, keyParts)
  .map(([start, end]) => ({ below: (prefix) => ({ start: place(prefix, start), end: place(prefix, end) }) }));

const checks: fc.Arbitrary<Drawn<ModelCheck>> = fc.oneof(
  // Nine times in ten the version that the entry really has.
  fc.record({ part: keyParts, stale: fc.nat({ max: 9 }) }).map(({ part, stale }) => ({
    below: (prefix: Buffer, versionOf: (key: Buffer) => number | null): ModelCheck => {
      const key = place(prefix, part);
      return { kind: "version", key, version: stale === 0 ? 1 : versionOf(key) };
    },
  })),
  ranges.map((range) => ({
    below: (prefix: Buffer, versionOf: (key: Buffer) => number | null): ModelCheck => ({
      kind: "empty",
      range: range.below(prefix, versionOf),
    }),
  })),
);

const mutations: fc.Arbitrary<Drawn<ModelMutation>> = fc.oneof(
  fc.tuple(keyParts, fc.uint8Array({ maxLength: 40 })).map(([part, value]) => ({
    below: (prefix: Buffer): ModelMutation => ({ kind: "set", key: place(prefix, part), value: Buffer.from(value) }),
  })),
  keyParts.map((part) => ({
    below: (prefix: Buffer): ModelMutation => ({ kind: "delete", key: place(prefix, part) }),
  })),
  fc.tuple(keyParts, fc.array(fc.maxSafeInteger(), { maxLength: 3 })).map(([part, deltas]) => ({
    below: (prefix: Buffer): ModelMutation => ({ kind: "sum", key: place(prefix, part), deltas }),
  })),
);

export const commits: fc.Arbitrary<Drawn<ModelCommit>> = fc
  .tuple(fc.array(checks, { maxLength: 2 }), fc.array(mutations, { maxLength: 4 }))
  .map(([drawnChecks, drawnMutations]) => ({
    below: (prefix, versionOf) => ({
      checks: drawnChecks.map((check) => check.below(prefix, versionOf)),
      mutations: drawnMutations.map((mutation) => mutation.below(prefix, versionOf)),
    }),
  }));
