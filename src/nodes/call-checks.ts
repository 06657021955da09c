/** Checks of arguments that all drivers share. Each throws NodeError of kind `invalid`, since a failure is a bug above. */
import { type Id, isId } from "../shared/ids.ts";
import { type ByteRange, type CopyKey, type ListRequest, NodeError, type PutRequest } from "./storage-node.ts";

export const IDENTITY_BYTES_MAX = 4096;
export const LIST_LIMIT_MAX = 1000;

const COPY_KEY = /^[0-9a-f]{8}\/[0-9a-f]{32}$/;

function invalid(message: string): NodeError {
  return new NodeError("invalid", message);
}

export function checkKey(key: CopyKey): void {
  if (!COPY_KEY.test(key)) throw invalid("the copy key is malformed");
}

export function checkRange({ start, end }: ByteRange): void {
  const ordered = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start < end;
  if (!ordered) throw invalid("the range is empty, negative or no range of integers");
}

/** Key and header, not the blocks. */
export function checkPut({ key, header }: PutRequest, clusterId: Id): void {
  checkKey(key);
  if (header.clusterId !== clusterId) throw invalid("the blob belongs to another cluster than the node");
  if (!isId(header.blobId)) throw invalid("the blob id is malformed");
  if (!Number.isSafeInteger(header.length) || header.length < 1)
    throw invalid("the blob's length is no positive integer");
  if (Number.parseInt(key.slice(0, 8), 16) !== header.session) {
    throw invalid("the copy key is of another session than the blob's header");
  }
}

export function checkList({ session, after, limit }: ListRequest): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) throw invalid("the list limit is out of bounds");
  if (after !== undefined) checkKey(after);
  if (session !== undefined && !(Number.isInteger(session) && session >= 0 && session <= 0xffff_ffff)) {
    throw invalid("the session is no unsigned 32-bit integer");
  }
}

export function checkIdentity(document: Uint8Array): void {
  if (document.length > IDENTITY_BYTES_MAX) throw invalid("the identity document is too long");
}

/** What a node holds may be replaced. @throws NodeError `refused`, see StorageNode.writeIdentity */
export function checkReplaceable(
  held: Uint8Array | undefined,
  { document, over }: { readonly document: Uint8Array; readonly over: Uint8Array | undefined },
): void {
  if (held === undefined || [document, over].some((known) => known !== undefined && Buffer.from(known).equals(held)))
    return;
  throw new NodeError("refused", "the node carries another identity");
}
