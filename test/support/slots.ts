/** What the catalog says of the copies of objects, and changes of it that only other versions or operators make. */
import assert from "node:assert/strict";
import type { BlobHome } from "../../src/catalog/blobs.ts";
import { objectKey } from "../../src/catalog/keys.ts";
import type { Blob, Location, Slot } from "../../src/catalog/records/blob.ts";
import { withSlot } from "../../src/replication/slot-ledger.ts";
import { readCatalog } from "./catalog-contents.ts";
import type { InMemoryGateway, TestNode } from "./in-memory-gateway.ts";

/** The blob of an object in bucket `box` that has one, wherever its record is. */
export async function blobOf(gateway: InMemoryGateway, key: string): Promise<{ blob: Blob; home: BlobHome }> {
  const { buckets, versions, blobs } = await readCatalog(gateway.kv);
  const [bucketId] = [...buckets].find(([, name]) => name === "box") ?? assert.fail("there is no bucket box");
  const { content } = versions.get(`${bucketId}/${key}`) ?? assert.fail(`there is no object ${key}`);
  if (content.kind === "inline") return { blob: content.blob, home: { kind: "inline", bucketId, key } };
  assert.ok(content.kind === "blob", `object ${key} has no single blob`);
  return { blob: blobs.get(content.blobId) ?? assert.fail("the blob has no record"), home: { kind: "own" } };
}

/** Each slot as `state domain node`, in order: `ok d0 d0-1`, `missing d1`. */
export async function slotsOf(gateway: InMemoryGateway, key: string): Promise<string[]> {
  const { blob } = await blobOf(gateway, key);
  return blob.slots.map(({ state, domain, location }) =>
    [state, domain, ...(location === undefined ? [] : [gateway.nodeOf(location.nodeUuid).name])].join(" "),
  );
}

/** The copy in a slot: where it is, and what is there. */
export async function copyIn(
  gateway: InMemoryGateway,
  key: string,
  slot: number,
): Promise<{ node: TestNode; location: Location; bytes: Uint8Array }> {
  const { blob } = await blobOf(gateway, key);
  const location = blob.slots[slot]?.location ?? assert.fail(`slot ${slot} has no copy`);
  const node = gateway.nodeOf(location.nodeUuid);
  return { node, location, bytes: node.store.blobs.get(location.key)?.bytes ?? assert.fail("the copy is not there") };
}

/** Changes a slot on record. */
export async function changeSlot(
  gateway: InMemoryGateway,
  key: string,
  slot: number,
  change: (slot: Slot) => Slot,
): Promise<void> {
  const { blob, home } = await blobOf(gateway, key);
  await gateway.process.ledger.change(blob.blobId, home, ({ blob: { slots } }) => ({
    slots: withSlot(slots, slot, change(slots[slot] ?? assert.fail(`there is no slot ${slot}`))),
  }));
}

/** Flips a byte of a copy. */
export async function rot(gateway: InMemoryGateway, key: string, slot: number, at = 0): Promise<void> {
  const { bytes } = await copyIn(gateway, key, slot);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

/** Copies on all nodes. */
export function copyCount({ nodes }: InMemoryGateway): number {
  return [...nodes.values()].reduce((sum, { store }) => sum + store.blobs.size, 0);
}

/** A second version of an object's record, as some other change of it makes. */
export async function touch(gateway: InMemoryGateway, key: string): Promise<void> {
  const { home } = await blobOf(gateway, key);
  assert.ok(home.kind === "inline");
  const entry = (await gateway.kv.get(objectKey(home.bucketId, home.key))) ?? assert.fail();
  await gateway.kv.atomic().set(entry.key, entry.value).commit();
}
