/** Where a blob's record was when an entry that tells so was written. */
import { type Id, idBytes } from "../../shared/ids.ts";
import type { RecordReader } from "./codec.ts";

/**
 * Inside the current version of an object, or nowhere else than in a record of its own. A blob only ever moves from the
 * first to the second, so whoever looks for it asks for its own record first and follows this after.
 */
export type BlobHome =
  | { readonly kind: "own" }
  | { readonly kind: "inline"; readonly bucketId: Id; readonly key: string };

export function homeFields(home: BlobHome): null | [Uint8Array, string] {
  return home.kind === "own" ? null : [idBytes(home.bucketId), home.key];
}

export function readHome(reader: RecordReader): BlobHome {
  const inline = reader.optional((home) => ({ bucketId: home.id(), key: home.string() }));
  return inline === undefined ? { kind: "own" } : { kind: "inline", ...inline };
}
