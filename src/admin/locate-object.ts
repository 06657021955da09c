/**
 * Where the copies of an object are.
 */
import { locatedOwn } from "../catalog/blobs.ts";
import { ContentGoneError } from "../catalog/contents.ts";
import { blobKey, bucketKey, objectKey } from "../catalog/keys.ts";
import type { Blob } from "../catalog/records/blob.ts";
import { decodeBucket } from "../catalog/records/bucket.ts";
import { decodeVersion, type Version } from "../catalog/records/version.ts";
import { BUCKET_NAME_MAX, KEY_BYTES_MAX } from "../objects/names.ts";
import { extentsInRange } from "../objects/read-content.ts";
import type { Copy, Extent, ObjectLocation } from "./api-types.ts";
import type { AdminContext } from "./cluster-views.ts";
import { ApiError } from "./problem.ts";

/** Extents in one answer. */
const EXTENTS_MAX = 1_000;

/** How often a look starts over because the object was replaced meanwhile. */
const LOOKUPS_MAX = 8;

interface Target {
  readonly bucket: string;
  readonly key: string;
  /** Extents from this byte of the object on. */
  readonly offset: number;
}

/** @param url what follows the API's path: `/{bucket}/{key}?offset=N`. @throws ApiError */
export async function locateObject(context: AdminContext, url: string): Promise<ObjectLocation> {
  const target = parseTarget(url);
  for (let lookup = 1; ; lookup++) {
    try {
      return await locate(context, target);
    } catch (error) {
      if (!(error instanceof ContentGoneError) || lookup === LOOKUPS_MAX) throw error;
    }
  }
}

/** @throws ApiError; ContentGoneError when the object is replaced meanwhile */
async function locate(context: AdminContext, { bucket, key, offset }: Target): Promise<ObjectLocation> {
  const { kv } = context.catalog;
  // Longer names may not even fit into a key of the catalog.
  const bucketEntry = bucket.length > BUCKET_NAME_MAX ? undefined : await kv.get(bucketKey(bucket));
  if (bucketEntry === undefined) throw new ApiError(404, "Not Found", `there is no bucket ${bucket}`);
  const { bucketId } = decodeBucket(bucketEntry.value);
  const entry = Buffer.byteLength(key) > KEY_BYTES_MAX ? undefined : await kv.get(objectKey(bucketId, key));
  if (entry === undefined) throw new ApiError(404, "Not Found", `there is no object ${key} in bucket ${bucket}`);
  const version = decodeVersion(entry.value);
  const extents = await extentsOf(context, version, offset);
  const last = extents.at(-1);
  const end = last === undefined ? version.size : last.offset + last.length;
  return {
    bucket,
    key,
    versions: [
      {
        version_id: version.isNull ? "null" : version.versionId,
        is_latest: true,
        delete_marker: version.deleteMarker,
        size: version.size,
        etag: version.etag,
        last_modified: new Date(version.createdAtMs).toISOString(),
        storage_class: version.storageClass,
        layout: version.content.kind === "empty" ? "empty" : "replicas",
        extents,
        next_offset: end < version.size ? end : null,
      },
    ],
  };
}

function parseTarget(url: string): Target {
  const [path = "", query = ""] = url.split("?", 2);
  const slash = path.indexOf("/", 1);
  const offset = Number(new URLSearchParams(query).get("offset") ?? 0);
  try {
    const bucket = decodeURIComponent(path.slice(1, slash < 0 ? undefined : slash));
    const key = slash < 0 ? "" : decodeURIComponent(path.slice(slash + 1));
    if (bucket === "" || key === "") throw new ApiError(400, "Bad Request", "the path is /{bucket}/{key}");
    if (!Number.isSafeInteger(offset) || offset < 0) throw new ApiError(400, "Bad Request", "offset is no byte offset");
    return { bucket, key, offset };
  } catch (error) {
    if (error instanceof URIError) throw new ApiError(400, "Bad Request", "the path is not percent-encoded UTF-8");
    throw error;
  }
}

/** @throws ContentGoneError */
async function extentsOf(context: AdminContext, version: Version, from: number): Promise<Extent[]> {
  const { content, size } = version;
  const { kv } = context.catalog;
  if (content.kind === "empty" || from >= size) return [];
  if (content.kind === "inline") return [extent(context, content.blob, { offset: from, length: size - from })];
  const extents: Extent[] = [];
  let offset = from;
  const spans =
    content.kind === "blob"
      ? [{ blobId: content.blobId, length: size - from }]
      : extentsInRange(kv, content.manifestId, { start: from, end: size });
  for await (const { blobId, length } of spans) {
    const entry = await kv.get(blobKey(blobId));
    if (entry === undefined) throw new ContentGoneError();
    extents.push(extent(context, locatedOwn(entry).blob, { offset, length }));
    offset += length;
    if (extents.length === EXTENTS_MAX) break;
  }
  return extents;
}

function extent(context: AdminContext, blob: Blob, place: { offset: number; length: number }): Extent {
  const copies = blob.slots.flatMap(({ state, domain, location, verifiedAtMs }, slot): Copy[] => {
    // The place of a surplus copy that went before its blob: nothing is there, and nothing is wanted.
    if (state === "surplus" && location === undefined) return [];
    const member = location && context.members().get(location.nodeUuid);
    return [
      {
        slot,
        state,
        domain,
        node: member?.spec.name ?? null,
        node_id: location?.nodeUuid ?? null,
        node_domain: member?.spec.domain ?? null,
        location:
          location === undefined || member === undefined
            ? null
            : context.placeOf(member.spec.name).locate(location.key),
        verified_at: verifiedAtMs === undefined ? null : new Date(verifiedAtMs).toISOString(),
      },
    ];
  });
  return { blob_id: blob.blobId, ...place, copies };
}
