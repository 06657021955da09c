/** Calls and comparisons that the tests of the contract have in common. */
import assert from "node:assert/strict";
import { CatalogError, type CatalogErrorKind, type Kv, type KvEntry } from "../../../src/catalog/kv.ts";

/** The store under test; asked for in each test, because it is opened only when they run. */
export type Subject = () => Kv;
/** A first element of keys that no other test has. */
export type Scope = () => string;

export async function refused(call: Promise<unknown>, kind: CatalogErrorKind): Promise<void> {
  await assert.rejects(call, (thrown) => {
    assert.ok(thrown instanceof CatalogError, `expected a CatalogError, got ${String(thrown)}`);
    assert.equal(thrown.kind, kind, thrown.message);
    return true;
  });
}

export async function set(kv: Kv, key: Buffer, value: string | Buffer): Promise<number> {
  const result = await kv.atomic().set(key, Buffer.from(value)).commit();
  assert.ok(result.committed);
  return result.version;
}

export async function commitAll(kv: Kv, keys: readonly Buffer[], value: Buffer): Promise<void> {
  const atomic = kv.atomic();
  for (const key of keys) atomic.set(key, value);
  assert.equal((await atomic.commit()).committed, true);
}

export function counters(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeBigInt64BE(BigInt(value), index * 8);
  return bytes;
}

export function keysOf(found: readonly KvEntry[]): Buffer[] {
  return found.map((entry) => entry.key);
}

export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  assert.ok(item !== undefined);
  return item;
}
