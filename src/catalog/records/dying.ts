/**
 * What nothing refers to any more and is to be removed after the grace time. Dying is final: nothing that is named
 * here ever comes back to life.
 */
import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { type Location, locationFields, readLocation } from "./blob.ts";
import { decodeRecord, encodeRecord, type Field } from "./codec.ts";
import { type Extent, extentFields, readExtent } from "./manifest.ts";

export type Dying =
  /** Copies to be deleted from their nodes: of a blob that died, or that a repair replaced. */
  | { readonly kind: "copies"; readonly blobId: Id; readonly copies: readonly Location[] }
  /** A part whose references are to be dropped. */
  | { readonly kind: "part"; readonly partId: Id; readonly extents: readonly Extent[] }
  /** A manifest, or an aborted upload, whose parts are to be dropped one after the other. */
  | { readonly kind: "manifest"; readonly manifestId: Id }
  /** A deleted bucket whose unfinished uploads and counters are to be dropped. */
  | { readonly kind: "bucket"; readonly bucketId: Id };

const DYING_FORMAT = 1;
const DYING_COPIES = 0;
const DYING_PART = 1;
const DYING_MANIFEST = 2;
const DYING_BUCKET = 3;

export function encodeDying(dying: Dying): Buffer {
  return encodeRecord(DYING_FORMAT, dyingFields(dying));
}

function dyingFields(dying: Dying): Field[] {
  switch (dying.kind) {
    case "copies":
      return [DYING_COPIES, idBytes(dying.blobId), dying.copies.map(locationFields)];
    case "part":
      return [DYING_PART, idBytes(dying.partId), dying.extents.map(extentFields)];
    case "manifest":
      return [DYING_MANIFEST, idBytes(dying.manifestId)];
    case "bucket":
      return [DYING_BUCKET, idBytes(dying.bucketId)];
  }
}

export function decodeDying(value: Uint8Array): Dying {
  const reader = decodeRecord("dying", value, DYING_FORMAT);
  const kind = reader.int();
  switch (kind) {
    case DYING_COPIES:
      return { kind: "copies", blobId: reader.id(), copies: reader.list(readLocation) };
    case DYING_PART:
      return {
        kind: "part",
        partId: reader.id(),
        extents: reader.list(readExtent),
      };
    case DYING_MANIFEST:
      return { kind: "manifest", manifestId: reader.id() };
    case DYING_BUCKET:
      return { kind: "bucket", bucketId: reader.id() };
    default:
      throw reader.fail("a kind that this version does not know");
  }
}

/** A deletion that its node has not carried out yet. Kept under the node and the copy's key. */
export interface PendingDelete {
  readonly blobId: Id;
  readonly sinceMs: number;
}

const PENDING_DELETE_FORMAT = 1;

export function encodePendingDelete(pending: PendingDelete): Buffer {
  return encodeRecord(PENDING_DELETE_FORMAT, [idBytes(pending.blobId), pending.sinceMs]);
}

export function decodePendingDelete(value: Uint8Array): PendingDelete {
  const reader = decodeRecord("pending delete", value, PENDING_DELETE_FORMAT);
  return { blobId: reader.id(), sinceMs: reader.int() };
}
