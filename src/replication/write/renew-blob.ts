/**
 * What becomes of a written blob when the topology changed before the commit that makes it live: copies on nodes that
 * still accept writes stay, others are dropped and recorded missing. Where too few would be left, copies on nodes that
 * only accept no more are kept as well, as they are durable and can be read; and where nodes are gone, the blob is
 * written once more.
 */
import type { Blob, Slot } from "../../catalog/records/blob.ts";
import type { Block } from "../../nodes/storage-node.ts";
import { NotEnoughCopiesError, type WriteDeps, type WrittenBlob } from "./blob-write-types.ts";
import { writeBlob } from "./blob-writer.ts";

/**
 * The same blob where nothing changed, else what is to be entered in its place; what it had besides is given up.
 * @throws NotEnoughCopiesError when its bytes are nowhere any more, or too few nodes take them; `written` is as it was
 */
export async function renewBlob(deps: WriteDeps, written: WrittenBlob, signal?: AbortSignal): Promise<WrittenBlob> {
  const members = deps.members();
  // A node may serve another domain by now: what it has of this slot is a copy, and not where it belongs.
  const slots = written.blob.slots.map((slot): Slot => {
    const domain = slot.location && members.get(slot.location.nodeUuid)?.spec.domain;
    return slot.state === "ok" && domain !== undefined && domain !== slot.domain ? { ...slot, state: "handoff" } : slot;
  });
  if (slots.some((slot, number) => slot !== written.blob.slots[number])) {
    return renewBlob(deps, { ...written, blob: { ...written.blob, slots } }, signal);
  }
  const accepts = ({ location }: Slot): boolean =>
    location === undefined || members.get(location.nodeUuid)?.spec.acceptsWrites === true;
  const isPresent = ({ location }: Slot): boolean =>
    location === undefined || members.get(location.nodeUuid) !== undefined;
  if (slots.every(accepts)) return written;
  const { quorum } = members.topology.replication;
  if (plannedDomains(slots.filter(accepts)) >= quorum) return trimmed(deps, written, accepts);
  if (slots.every(isPresent)) return written;
  if (plannedDomains(slots.filter(isPresent)) >= quorum) return trimmed(deps, written, isPresent);
  const bytes = bytesOf(
    deps,
    written,
    slots.map((slot) => (isPresent(slot) ? slot : missing(slot))),
  );
  if (bytes === undefined) throw new NotEnoughCopiesError([]);
  const again = await writeBlob(deps, { bytes, length: written.blob.length, ...(signal && { signal }) });
  giveUp(deps, written, slots.filter(isPresent));
  return again;
}

function trimmed(deps: WriteDeps, written: WrittenBlob, keep: (slot: Slot) => boolean): WrittenBlob {
  const { blob, acknowledged } = written;
  const dropped = blob.slots.filter((slot) => !keep(slot));
  discardCopies(deps, blob, dropped);
  return {
    ...written,
    blob: { ...blob, slots: blob.slots.map((slot) => (keep(slot) ? slot : missing(slot))) },
    acknowledged: acknowledged === "full" ? "quorum" : acknowledged,
  };
}

function bytesOf(
  { reader }: WriteDeps,
  { blob, held }: WrittenBlob,
  slots: readonly Slot[],
): AsyncIterable<Uint8Array> | undefined {
  if (held !== undefined) return chunksOf(held);
  if (slots.every(({ location }) => location === undefined)) return undefined;
  return reader.read({ ...blob, slots }, { start: 0, end: blob.length });
}

async function* chunksOf(blocks: readonly Block[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { chunks } of blocks) yield* chunks;
}

/** The whole blob: what is durable, and what may yet become so. */
function giveUp(deps: WriteDeps, { blob, stragglers }: WrittenBlob, slots: readonly Slot[]): void {
  discardCopies(deps, blob, slots);
  for (const { nodeUuid, key, done, abort } of stragglers) {
    abort();
    void done.then((arrived) => {
      if (arrived) deps.discard(blob.blobId, [{ nodeUuid, key }]);
    });
  }
}

/** Those of nodes that are gone are gone with them. */
function discardCopies({ members, discard }: WriteDeps, { blobId }: Blob, slots: readonly Slot[]): void {
  const copies = slots.flatMap(({ location }) =>
    location === undefined || members().get(location.nodeUuid) === undefined ? [] : [location],
  );
  if (copies.length > 0) discard(blobId, copies);
}

function missing({ domain }: Slot): Slot {
  return { state: "missing", domain };
}

/** Domains that hold a planned copy. */
function plannedDomains(slots: readonly Slot[]): number {
  return new Set(slots.flatMap(({ state, domain }) => (state === "ok" ? [domain] : []))).size;
}
