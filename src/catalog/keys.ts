/**
 * Every key of the catalog, in one place. The first element names the kind of record; buckets and blobs come next,
 * so that ranges split cleanly where a distributed engine lies underneath.
 */

import { copyKeyBytes, copyKeyFromBytes } from "../nodes/copy-key.ts";
import type { CopyKey } from "../nodes/storage-node.ts";
import { type Id, idBytes, idFromBytes } from "../shared/ids.ts";
import type { KvKey, KvRange } from "./kv.ts";
import { pack, prefixRange, stringPrefixRange, unpack } from "./tuple.ts";

/**
 * Written only to learn the version of a commit that is known to be this late. Local: what is under "local" belongs to
 * this store alone (see kv-atomic.ts).
 */
export const sweepMarkKey = (): KvKey => pack(["local", "sweep-mark"]);

/** There while orphans are not to be collected: the catalog was rebuilt, and not all of its journal was seen. */
export const orphansHeldKey = (): KvKey => pack(["local", "orphans-held"]);

/** The last session number that is not to be given out: see catalog/journal/replay.ts. */
export const sessionFloorKey = (): KvKey => pack(["local", "session-floor"]);

/** Every key. */
export const WHOLE_CATALOG: KvRange = { start: Buffer.of(0), end: Buffer.of(0xff) };

export const clusterKey = (): KvKey => pack(["cluster"]);
export const topologyKey = (): KvKey => pack(["topology"]);
/** What the configuration said of the topology that was applied last. */
export const appliedFileKey = (): KvKey => pack(["applied-file"]);
/** The replication factors that there were before. */
export const policyHistoryKey = (): KvKey => pack(["policy-history"]);
/** Limits of background work that an operator set while the cluster serves. */
export const liveLimitsKey = (): KvKey => pack(["live-limits"]);
export const nodeKey = (uuid: Id): KvKey => pack(["node", idBytes(uuid)]);
export const isNodeKey = (key: KvKey): boolean => {
  const { start, end } = nodesRange();
  return Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0;
};
export const nodesRange = (): KvRange => prefixRange(["node"]);
/** How a node is reached that the configuration does not name. */
export const nodeConnectionKey = (uuid: Id): KvKey => pack(["node-connection", idBytes(uuid)]);
export const nodeConnectionsRange = (): KvRange => prefixRange(["node-connection"]);

/** Who leads. */
export const leaderKey = (): KvKey => pack(["leader"]);

export const sessionKey = (session: number): KvKey => pack(["session", session]);
export const sessionsRange = (): KvRange => prefixRange(["session"]);
export const sessionOfSessionKey = (packed: KvKey): number => numberAt(packed, 1);

export const bucketKey = (name: string): KvKey => pack(["bucket", name]);
export const bucketsRange = (): KvRange => prefixRange(["bucket"]);

/** The current version of an object. */
export const objectKey = (bucketId: Id, key: string): KvKey => pack(["object", idBytes(bucketId), key]);
/** The current versions of a bucket whose keys begin with `prefix`. */
export const objectsRange = (bucketId: Id, prefix: string): KvRange =>
  stringPrefixRange(["object", idBytes(bucketId)], prefix);
/** The object key in a packed key of `objectKey`. */
export const keyOfObject = (packed: KvKey): string => stringAt(packed, 2);

export const uploadKey = (bucketId: Id, key: string, uploadId: Id): KvKey =>
  pack(["upload", idBytes(bucketId), key, idBytes(uploadId)]);
export const uploadsRange = (bucketId: Id, prefix: string): KvRange =>
  stringPrefixRange(["upload", idBytes(bucketId)], prefix);

/** A part of an upload, or of the manifest that the upload became. */
export const partKey = (manifestId: Id, partNumber: number): KvKey => pack(["part", idBytes(manifestId), partNumber]);
export const partsRange = (manifestId: Id): KvRange => prefixRange(["part", idBytes(manifestId)]);
/** Counts the parts ever committed to an upload, so that completing it notices one that came in between. */
export const partCounterKey = (uploadId: Id): KvKey => pack(["part-counter", idBytes(uploadId)]);
export const manifestKey = (manifestId: Id, page: number): KvKey => pack(["manifest", idBytes(manifestId), page]);
export const manifestRange = (manifestId: Id): KvRange => prefixRange(["manifest", idBytes(manifestId)]);

/** A blob with a record of its own. */
export const blobKey = (blobId: Id): KvKey => pack(["blob", idBytes(blobId)]);
/** That `owner` (a version or a part) refers to `target` (a blob or a manifest). */
export const referenceKey = (target: Id, owner: Id): KvKey => pack(["ref", idBytes(target), idBytes(owner)]);
export const referencesRange = (target: Id): KvRange => prefixRange(["ref", idBytes(target)]);

/** That a slot of a blob has its copy on a node, under a key. */
export const copyIndexKey = (nodeUuid: Id, key: CopyKey): KvKey => pack(["copy", idBytes(nodeUuid), copyKeyBytes(key)]);
export const copiesRange = (nodeUuid: Id): KvRange => prefixRange(["copy", idBytes(nodeUuid)]);
export const copyKeyOfIndex = (packed: KvKey): CopyKey => copyKeyFromBytes(bytesAt(packed, 2));

/** A slot that wants repair; those with the fewest good copies sort first. */
export const repairKey = (goodCopies: number, blobId: Id, slot: number): KvKey =>
  pack(["repair", goodCopies, idBytes(blobId), slot]);
export const repairRange = (): KvRange => prefixRange(["repair"]);
export function partsOfRepairKey(packed: KvKey): { goodCopies: number; blobId: Id; slot: number } {
  const tuple = unpack(packed);
  const [goodCopies, blobId, slot] = [tuple[1], tuple[2], tuple[3]];
  if (typeof goodCopies !== "number" || !(blobId instanceof Uint8Array) || typeof slot !== "number") {
    throw new TypeError("not a repair key");
  }
  return { goodCopies, blobId: idFromBytes(blobId), slot };
}

/** A slot whose repair was given up: it is no repair entry then. */
export const deadLetterKey = (blobId: Id, slot: number): KvKey => pack(["dead-letter", idBytes(blobId), slot]);
export const deadLettersRange = (): KvRange => prefixRange(["dead-letter"]);
export function partsOfDeadLetterKey(packed: KvKey): { blobId: Id; slot: number } {
  const [, , slot] = unpack(packed);
  if (typeof slot !== "number") throw new TypeError("not a dead-letter key");
  return { blobId: idFromBytes(bytesAt(packed, 1)), slot };
}

/** Sorted by the wall clock of the process that committed it: good for order, not for deciding (see dying-sweeper). */
export const dyingKey = (diedAtMs: number, id: Id): KvKey => pack(["dying", diedAtMs, idBytes(id)]);
export const dyingRange = (): KvRange => prefixRange(["dying"]);
/** Those that died before a time. */
export const dyingBefore = (ms: number): KvRange => ({ start: dyingRange().start, end: pack(["dying", ms]) });
/** Those that died after a time. */
export const dyingAfter = (ms: number): KvRange => ({ start: pack(["dying", ms + 1]), end: dyingRange().end });

/** That a blob's copies stay on their nodes until then, whatever becomes of it. */
export const pinKey = (blobId: Id, untilMs: number): KvKey => pack(["pin", idBytes(blobId), untilMs]);
export const pinsRange = (): KvRange => prefixRange(["pin"]);
export const pinsOfBlob = (blobId: Id): KvRange => prefixRange(["pin", idBytes(blobId)]);
export function partsOfPinKey(packed: KvKey): { blobId: Id; untilMs: number } {
  const [, , untilMs] = unpack(packed);
  if (typeof untilMs !== "number") throw new TypeError("not a pin's key");
  return { blobId: idFromBytes(bytesAt(packed, 1)), untilMs };
}

/** That the orphans of an ended session were collected from a node. */
export const collectedKey = (session: number, nodeUuid: Id): KvKey => pack(["collected", session, idBytes(nodeUuid)]);
export const collectedRange = (session: number): KvRange => prefixRange(["collected", session]);

/** A deletion that a node has still to carry out. */
export const pendingDeleteKey = (nodeUuid: Id, key: CopyKey): KvKey =>
  pack(["pending-delete", idBytes(nodeUuid), copyKeyBytes(key)]);
export const pendingDeletesRange = (nodeUuid: Id): KvRange => prefixRange(["pending-delete", idBytes(nodeUuid)]);
export const copyKeyOfPendingDelete = (packed: KvKey): CopyKey => copyKeyFromBytes(bytesAt(packed, 2));

/** How far a consumer of the changes has come. */
export const cursorKey = (name: string): KvKey => pack(["cursor", name]);
export const cursorsRange = (): KvRange => prefixRange(["cursor"]);
export const nameOfCursor = (packed: KvKey): string => stringAt(packed, 1);

/** What happened to nodes and domains, in order: see cluster/events. */
export const eventKey = (sequence: number): KvKey => pack(["event", sequence]);
export const eventsRange = (): KvRange => prefixRange(["event"]);
export const eventsAfter = (sequence: number): KvRange => ({ ...eventsRange(), start: eventKey(sequence + 1) });
export const sequenceOfEvent = (packed: KvKey): number => numberAt(packed, 1);
/** The last event that a receiver is done with. */
export const eventCursorKey = (name: string): KvKey => pack(["event-cursor", name]);

/** What a gateway sees of nodes that are away. */
export const healthReportKey = (session: number): KvKey => pack(["health-report", session]);
export const healthReportsRange = (): KvRange => prefixRange(["health-report"]);
export const sessionOfHealthReport = (packed: KvKey): number => numberAt(packed, 1);
export const jobKey = (id: Id): KvKey => pack(["job", idBytes(id)]);
export const jobsRange = (): KvRange => prefixRange(["job"]);
/** The job of a kind and subject that has still to begin: there is at most one. */
export const queuedJobKey = (kind: string, subject: string): KvKey => pack(["job-queued", kind, subject]);
export const jobFailureKey = (job: Id, blobId: Id, slot: number): KvKey =>
  pack(["job-failure", idBytes(job), idBytes(blobId), slot]);
export const jobFailuresRange = (job: Id): KvRange => prefixRange(["job-failure", idBytes(job)]);

/** A node as the triggers of jobs saw it last: see replication/jobs/triggers. */
export const seenNodeKey = (uuid: Id): KvKey => pack(["seen-node", idBytes(uuid)]);
export const seenNodesRange = (): KvRange => prefixRange(["seen-node"]);
export const nodeOfSeenNode = (packed: KvKey): Id => idFromBytes(bytesAt(packed, 1));

/** Counters `[objects, bytes]` of a bucket; sharded, because a hot counter is where commits would queue. */
export const usageKey = (bucketId: Id, shard: number): KvKey => pack(["usage", idBytes(bucketId), shard]);
export const usageRange = (bucketId: Id): KvRange => prefixRange(["usage", idBytes(bucketId)]);

function stringAt(packed: KvKey, index: number): string {
  const element = unpack(packed)[index];
  if (typeof element !== "string") throw new TypeError(`element ${index} of a catalog key is no string`);
  return element;
}

function numberAt(packed: KvKey, index: number): number {
  const element = unpack(packed)[index];
  if (typeof element !== "number") throw new TypeError(`element ${index} of a catalog key is no number`);
  return element;
}

function bytesAt(packed: KvKey, index: number): Uint8Array {
  const element = unpack(packed)[index];
  if (!(element instanceof Uint8Array)) throw new TypeError(`element ${index} of a catalog key is no byte string`);
  return element;
}
