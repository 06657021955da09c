/**
 * Presigned URLs, pins, and what buckets allow.
 */
import type * as z from "zod";
import type { Catalog } from "../catalog/catalog.ts";
import type { Bucket } from "../catalog/records/bucket.ts";
import type { Members } from "../cluster/members.ts";
import { ObjectError, type ObjectErrorCode } from "../objects/api.ts";
import { listBucketRecords, setBucket } from "../objects/bucket-settings.ts";
import type { DirectReads } from "../objects/direct-reads.ts";
import { BUCKET_NAME_MAX, isBucketName, KEY_BYTES_MAX } from "../objects/names.ts";
import { listPins, removePin, TooManyPinsError } from "../replication/reclaim/pins.ts";
import { NoPublicAddressError, type Presigner } from "../s3/presign.ts";
import type { Clock } from "../shared/clock.ts";
import {
  type Buckets,
  bucketSettingsSchema,
  type Pins,
  type PresignedUrlAnswer,
  presignRequestSchema,
} from "./direct-types.ts";
import { ApiError } from "./problem.ts";

export interface DirectContext {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly directReads: Pick<DirectReads, "nodeUrl">;
  readonly presign: Presigner;
  readonly clock: Clock;
}

/** Buckets in one answer. */
const BUCKETS_MAX = 1_000;

/** A URL that whoever has it may use until it expires. @throws ApiError */
export async function presign(context: DirectContext, body: unknown): Promise<PresignedUrlAnswer> {
  const {
    bucket,
    key,
    method,
    expires_seconds: expiresSeconds,
    version_id,
    direct,
    node,
  } = parse(presignRequestSchema, body);
  if (!isBucketName(bucket)) throw badRequest("bucket: this is no name that a bucket can have");
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX || !key.isWellFormed()) {
    throw badRequest(`key: must be 1 to ${KEY_BYTES_MAX} bytes of UTF-8`);
  }
  if (version_id !== undefined && method === "PUT") throw badRequest("version_id: a PUT makes a version of its own");
  if (node !== undefined && !direct) throw badRequest("node: goes with direct only");
  const target = { bucket, key, expiresSeconds, ...(version_id === undefined ? {} : { versionId: version_id }) };
  const named = { method, bucket, key };
  if (!direct) {
    const { url, expiresAtMs } = translate(() => context.presign({ ...target, method, nowMs: context.clock.nowMs() }));
    return { url, ...named, expires_at: time(expiresAtMs), node: null, pin: null, differences: [] };
  }
  if (method === "PUT") throw badRequest("method: a node's URLs are for GET and HEAD");
  if (
    node !== undefined &&
    !context
      .members()
      .all()
      .some(({ spec }) => spec.name === node)
  ) {
    throw new ApiError(404, "Not Found", `there is no node ${node}`);
  }
  const request = { ...target, method, ...(node === undefined ? {} : { nodeName: node }) };
  const found = await context.directReads.nodeUrl(request).catch(rethrow);
  const { url, expiresAtMs, nodeName, pinId, differences } = found;
  return {
    url,
    ...named,
    expires_at: time(expiresAtMs),
    node: nodeName,
    pin: pinId ?? null,
    differences: [...differences],
  };
}

export async function pins({ catalog, members }: DirectContext): Promise<Pins> {
  const all = await listPins(catalog.kv);
  all.sort((a, b) => a.untilMs - b.untilMs);
  return {
    pins: all.map(({ pinId, bucket, key, blobId, location, createdAtMs, untilMs, ended }) => ({
      pin: pinId,
      bucket,
      key,
      blob_id: blobId,
      node: members().get(location.nodeUuid)?.spec.name ?? null,
      node_id: location.nodeUuid,
      created_at: time(createdAtMs),
      until: time(untilMs),
      ended,
    })),
  };
}

/** @returns the pins that are left. @throws ApiError where there is no such pin */
export async function dropPin(context: DirectContext, pinId: string): Promise<Pins> {
  if (!(await removePin(context.catalog, pinId))) throw new ApiError(404, "Not Found", `there is no pin ${pinId}`);
  return pins(context);
}

/** @param after a name: only buckets behind it; empty for the first */
export async function buckets({ catalog }: DirectContext, after: string): Promise<Buckets> {
  if (after.length > BUCKET_NAME_MAX || !after.isWellFormed()) throw badRequest("after: this is no bucket's name");
  const found = await listBucketRecords(catalog.kv, after, BUCKETS_MAX + 1);
  const shown = found.slice(0, BUCKETS_MAX);
  return { buckets: shown.map(bucketOf), next: found.length > BUCKETS_MAX ? (shown.at(-1)?.name ?? null) : null };
}

/** @returns the bucket as it is now. @throws ApiError */
export async function changeBucket({ catalog }: DirectContext, name: string, body: unknown): Promise<Buckets> {
  const { read_redirect: readRedirect } = parse(bucketSettingsSchema, body);
  const changed = await setBucket(catalog, name, readRedirect === undefined ? {} : { readRedirect }).catch(rethrow);
  return { buckets: [bucketOf(changed)], next: null };
}

function bucketOf({ name, createdAtMs, owner, location, readRedirect }: Bucket): Buckets["buckets"][number] {
  return { name, created_at: time(createdAtMs), owner, location, read_redirect: readRedirect };
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw badRequest(problems.join("; "));
}

/** What the object service's errors are to an operator; those that are absent are 500. */
const STATUS_BY_CODE: Readonly<Partial<Record<ObjectErrorCode, readonly [status: number, title: string]>>> = {
  "no-such-bucket": [404, "Not Found"],
  "no-such-key": [404, "Not Found"],
  "no-such-version": [404, "Not Found"],
  "invalid-request": [409, "Conflict"],
  conflict: [409, "Conflict"],
  unavailable: [503, "Service Unavailable"],
};

function rethrow(error: unknown): never {
  if (error instanceof TooManyPinsError) throw new ApiError(409, "Conflict", error.message);
  if (!(error instanceof ObjectError)) throw error;
  const [status, title] = STATUS_BY_CODE[error.code] ?? [];
  if (status === undefined || title === undefined) throw error;
  throw new ApiError(status, title, error.message, { cause: error });
}

function translate<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof NoPublicAddressError) throw new ApiError(409, "Conflict", error.message);
    throw error;
  }
}

function badRequest(detail: string): ApiError {
  return new ApiError(400, "Bad Request", detail);
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
