/**
 * ListObjects: the current versions of a bucket in key order, with keys that share a prefix up to the delimiter
 * rolled up. What lies under a common prefix is stepped over, not read.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
import { keyOfObject, objectKey, objectsRange } from "../catalog/keys.ts";
import type { KvEntry, KvKey } from "../catalog/kv.ts";
import { decodeVersion } from "../catalog/records/version.ts";
import { after as afterKey } from "../catalog/tuple.ts";
import type { ListRequest, ListResult, ObjectInfo } from "./api.ts";
import { requireBucket } from "./bucket-lookup.ts";
import type { ObjectContext } from "./context.ts";
import { objectInfo } from "./find-version.ts";
import { KEY_BYTES_MAX, requireKey } from "./names.ts";

/** A page grows from the first to the second as long as nothing in it is stepped over. */
const PAGE_MIN = 32;
const PAGE_MAX = 1_000;

export async function listObjects(context: ObjectContext, request: ListRequest): Promise<ListResult> {
  const { bucket } = await requireBucket(context.catalog.kv, request.bucket);
  const { maxKeys } = request;
  requireKey(request.after);
  const objects: ObjectInfo[] = [];
  const commonPrefixes: string[] = [];
  if (maxKeys === 0 || Buffer.byteLength(request.prefix) > KEY_BYTES_MAX) return { objects, commonPrefixes };
  let last = "";
  for await (const found of namesOf(context, bucket.bucketId, request)) {
    if (objects.length + commonPrefixes.length === maxKeys) return { objects, commonPrefixes, next: last };
    last = found.name;
    if (found.entry === undefined) commonPrefixes.push(found.name);
    else objects.push(objectInfo(context, found.name, decodeVersion(found.entry.value)));
  }
  return { objects, commonPrefixes };
}

/** Every object, and every common prefix once, in order. */
async function* namesOf(
  context: ObjectContext,
  bucketId: string,
  request: ListRequest,
): AsyncGenerator<{ name: string; entry?: KvEntry }, void, undefined> {
  const { prefix, delimiter, after } = request;
  const { kv } = context.catalog;
  const { start: first, end } = objectsRange(bucketId, prefix);
  let start = first;
  if (after !== "") {
    const from = startAfter(bucketId, request);
    if (Buffer.compare(from, start) > 0) start = from;
  }
  let pageSize = delimiter === "" ? Math.min(PAGE_MAX, request.maxKeys + 1) : PAGE_MIN;
  while (Buffer.compare(start, end) < 0) {
    const page = await kv.list({ start, end }, { limit: pageSize });
    let common: string | undefined;
    let steppedOver = 0;
    for (const entry of page) {
      const key = keyOfObject(entry.key);
      if (common !== undefined && key.startsWith(common)) {
        steppedOver++;
        continue;
      }
      common = commonPrefixOf(key, prefix, delimiter);
      yield common === undefined ? { name: key, entry } : { name: common };
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    start = common === undefined ? afterKey(last.key) : objectsRange(bucketId, common).end;
    if (steppedOver === 0) pageSize = Math.min(PAGE_MAX, pageSize * 2);
  }
}

/** Where a listing goes on: after a key, or after all that a common prefix stands for. */
function startAfter(bucketId: string, { prefix, delimiter, after }: ListRequest): KvKey {
  if (after.startsWith(prefix) && commonPrefixOf(after, prefix, delimiter) === after) {
    return objectsRange(bucketId, after).end;
  }
  return afterKey(objectKey(bucketId, after));
}

export function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}
