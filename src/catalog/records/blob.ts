/**
 * A blob: immutable bytes, kept as copies on storage nodes. Its record says where every copy is and what is known
 * of it; nothing else in the system does.
 */

import { copyKeyBytes, copyKeyFromBytes } from "../../nodes/copy-key.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import { type Id, idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "./codec.ts";

/**
 * - `ok`: the copy was verified when it was made.
 * - `missing`: there is no copy; `location` is absent.
 * - `handoff`: durable, but on a node outside the slot's domain; to be moved home.
 * - `unverified`: its node was away; to be checked before it counts.
 * - `corrupt`: found to be wrong or gone. Kept until it is replaced, and read only where no other copy has a block.
 * - `surplus`: one more than the policy wants; served, and removed with its blob.
 */
export const SLOT_STATES = ["ok", "missing", "handoff", "unverified", "corrupt", "surplus"] as const;
export type SlotState = (typeof SLOT_STATES)[number];

export interface Location {
  readonly nodeUuid: Id;
  readonly key: CopyKey;
}

/** One copy that a blob has, or ought to have. Its place in the list is its number, which never changes. */
export interface Slot {
  readonly state: SlotState;
  /** The fault domain that the copy belongs to, wherever it is now. */
  readonly domain: string;
  readonly location?: Location;
  /** When the copy was last proven to be right: at first, when it was made. Wall clock, kept in whole seconds. */
  readonly verifiedAtMs?: number;
}

export interface Blob {
  readonly blobId: Id;
  /** Stored bytes, at least 1. */
  readonly length: number;
  /** CRC32C of each block of BLOCK_BYTES, four bytes each, big-endian. */
  readonly blockCrcs: Uint8Array;
  readonly slots: readonly Slot[];
}

/** Whether two slots have their copies in the same place, or none both. */
export function isSamePlace(one: Location | undefined, other: Location | undefined): boolean {
  return one?.nodeUuid === other?.nodeUuid && one?.key === other?.key;
}

/** The nodes that hold copies of a blob's other slots. */
export function nodesOfOthers({ slots }: Blob, number: number): Id[] {
  return slots.flatMap(({ location }, at) => (at === number || location === undefined ? [] : [location.nodeUuid]));
}

/** States whose copies may be read. */
export function isReadable(slot: Slot): slot is Slot & { location: Location } {
  return slot.location !== undefined && slot.state !== "corrupt" && slot.state !== "missing";
}

/** States that leave work for repair: a copy to be made, moved home or checked. */
export function wantsRepair(slot: Slot): boolean {
  return slot.state !== "ok" && slot.state !== "surplus";
}

const BLOB_FORMAT = 1;
/** The only layout kind so far: every slot holds the same bytes. */
const KIND_REPLICAS = 0;

/** The positional fields of a blob, to stand in a record of their own or inside a version's. */
export function blobFields(blob: Blob): Field[] {
  return [
    KIND_REPLICAS,
    idBytes(blob.blobId),
    blob.length,
    blob.blockCrcs,
    blob.slots.map((slot) => [
      SLOT_STATES.indexOf(slot.state),
      slot.domain,
      slot.location === undefined ? null : locationFields(slot.location),
      slot.verifiedAtMs === undefined ? null : Math.floor(slot.verifiedAtMs / 1000),
    ]),
  ];
}

export function readBlobFields(reader: RecordReader): Blob {
  const kind = reader.int();
  if (kind !== KIND_REPLICAS) throw reader.fail("a layout kind that this version does not know");
  return {
    blobId: reader.id(),
    length: reader.int(),
    blockCrcs: reader.bytes(),
    slots: reader.list((slot) => {
      const state = slot.indexOf(SLOT_STATES);
      const domain = slot.string();
      const location = slot.optional(readLocation);
      const verifiedAtS = slot.optionalInt();
      return {
        state,
        domain,
        ...(location === undefined ? {} : { location }),
        ...(verifiedAtS === undefined ? {} : { verifiedAtMs: verifiedAtS * 1000 }),
      };
    }),
  };
}

export function encodeBlob(blob: Blob): Buffer {
  return encodeRecord(BLOB_FORMAT, blobFields(blob));
}

export function decodeBlob(value: Uint8Array): Blob {
  return readBlobFields(decodeRecord("blob", value, BLOB_FORMAT));
}

/** Room is left after the key for a container, an offset and a length (packs), an ETag and a node's version id. */
export function locationFields(location: Location): Field[] {
  return [idBytes(location.nodeUuid), copyKeyBytes(location.key)];
}

export function readLocation(reader: RecordReader): Location {
  return { nodeUuid: reader.id(), key: copyKeyFromBytes(reader.bytes()) };
}
