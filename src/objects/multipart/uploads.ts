/**
 * Uploads as a whole: created, aborted, found, listed.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */

import { COMMIT_ATTEMPTS_MAX, walk } from "../../catalog/catalog.ts";
import { dyingKey, partCounterKey, uploadKey, uploadsRange } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import type { Bucket } from "../../catalog/records/bucket.ts";
import { encodeDying } from "../../catalog/records/dying.ts";
import { decodeUpload, encodeUpload, type Upload } from "../../catalog/records/upload.ts";
import { after as afterKey } from "../../catalog/tuple.ts";
import { isId } from "../../shared/ids.ts";
import {
  type ListUploadsRequest,
  type ListUploadsResult,
  ObjectError,
  type ObjectService,
  type UploadInfo,
} from "../api.ts";
import { bucketKeepsChanging, requireBucket } from "../bucket-lookup.ts";
import type { ObjectContext } from "../context.ts";
import { commonPrefixOf } from "../list-objects.ts";
import { KEY_BYTES_MAX, requireKey } from "../names.ts";

export interface FoundUpload {
  readonly bucket: Bucket;
  readonly upload: Upload;
  readonly entry: KvEntry;
}

interface UploadAddress {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

/** @throws ObjectError no-such-bucket, no-such-upload */
export async function findUpload(context: ObjectContext, address: UploadAddress): Promise<FoundUpload> {
  const { kv } = context.catalog;
  requireKey(address.key);
  const { bucket } = await requireBucket(kv, address.bucket);
  if (!isId(address.uploadId)) throw noSuchUpload(address.uploadId);
  const entry = await kv.get(uploadKey(bucket.bucketId, address.key, address.uploadId));
  if (entry === undefined) throw noSuchUpload(address.uploadId);
  return { bucket, upload: decodeUpload(entry.value), entry };
}

export function noSuchUpload(uploadId: string): ObjectError {
  return new ObjectError(
    "no-such-upload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    { uploadId },
  );
}

export async function createUpload(
  context: ObjectContext,
  request: Parameters<ObjectService["createUpload"]>[0],
): Promise<UploadInfo> {
  const { principal, bucket: name, key, attributes, checksum } = request;
  const { catalog, clock, ids } = context;
  requireKey(key);
  const upload: Upload = {
    uploadId: ids.next(),
    key,
    initiatedAtMs: clock.nowMs(),
    owner: principal.id,
    ...attributes,
    ...(checksum === undefined ? {} : { checksum }),
  };
  for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
    const { bucket, entry } = await requireBucket(catalog.kv, name);
    const result = await catalog.commit(
      catalog
        .begin()
        .check(entry.key, entry.version)
        .set(uploadKey(bucket.bucketId, key, upload.uploadId), encodeUpload(upload)),
    );
    if (result.committed) return uploadInfo(context, upload);
  }
  throw bucketKeepsChanging(name);
}

/** Leaves the parts dying; a part that is still being uploaded fails its commit. */
export async function abortUpload(context: ObjectContext, address: UploadAddress): Promise<void> {
  const { catalog } = context;
  const { entry, upload } = await findUpload(context, address);
  const result = await catalog.commit(
    catalog
      .begin()
      .check(entry.key, entry.version)
      .delete(entry.key)
      .delete(partCounterKey(upload.uploadId))
      .set(
        dyingKey(context.clock.nowMs(), upload.uploadId),
        encodeDying({ kind: "manifest", manifestId: upload.uploadId }),
      ),
  );
  if (!result.committed) throw noSuchUpload(address.uploadId);
}

export async function listUploads(context: ObjectContext, request: ListUploadsRequest): Promise<ListUploadsResult> {
  const { bucket } = await requireBucket(context.catalog.kv, request.bucket);
  const { prefix, delimiter, maxUploads } = request;
  const uploads: UploadInfo[] = [];
  const commonPrefixes: string[] = [];
  if (maxUploads === 0 || Buffer.byteLength(prefix) > KEY_BYTES_MAX) return { uploads, commonPrefixes };
  let last = { keyMarker: "", uploadIdMarker: "" };
  for await (const entry of walk(context.catalog.kv, rangeAfter(bucket.bucketId, request))) {
    const upload = decodeUpload(entry.value);
    const common = commonPrefixOf(upload.key, prefix, delimiter);
    if (common !== undefined && (common === commonPrefixes.at(-1) || common === request.keyMarker)) continue;
    if (uploads.length + commonPrefixes.length === maxUploads) return { uploads, commonPrefixes, next: last };
    if (common === undefined) {
      uploads.push(uploadInfo(context, upload));
      last = { keyMarker: upload.key, uploadIdMarker: upload.uploadId };
    } else {
      commonPrefixes.push(common);
      last = { keyMarker: common, uploadIdMarker: "" };
    }
  }
  return { uploads, commonPrefixes };
}

function rangeAfter(
  bucketId: string,
  { prefix, keyMarker, uploadIdMarker }: ListUploadsRequest,
): { start: Uint8Array; end: Uint8Array } {
  const { start, end } = uploadsRange(bucketId, prefix);
  if (keyMarker === "") return { start, end };
  requireKey(keyMarker);
  // Without an upload id the page starts after every upload of the marker's key.
  const from = isId(uploadIdMarker)
    ? afterKey(uploadKey(bucketId, keyMarker, uploadIdMarker))
    : afterKey(uploadKey(bucketId, keyMarker, LAST_ID));
  return { start: Buffer.compare(from, start) > 0 ? from : start, end };
}

const LAST_ID = "f".repeat(32);

export function uploadInfo(context: ObjectContext, upload: Upload): UploadInfo {
  const { uploadId, key, initiatedAtMs, storageClass, checksum } = upload;
  return {
    uploadId,
    key,
    initiatedAtMs,
    owner: context.principalOf(upload.owner),
    storageClass,
    ...(checksum === undefined ? {} : { checksum }),
  };
}
