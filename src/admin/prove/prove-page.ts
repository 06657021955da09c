/**
 * A page of the proof of every object: what the catalog has on record of the copies of each. Walks the catalog alone; a
 * page looks at a bounded number of objects and blobs, however many there are of either.
 */
import { locatedOwn } from "../../catalog/blobs.ts";
import { ContentGoneError } from "../../catalog/contents.ts";
import { blobKey, bucketKey, bucketsRange, keyOfObject, objectKey, objectsRange } from "../../catalog/keys.ts";
import type { Kv, KvEntry } from "../../catalog/kv.ts";
import { type Bucket, decodeBucket } from "../../catalog/records/bucket.ts";
import { decodeVersion, type Version } from "../../catalog/records/version.ts";
import { after as afterKey, rangeFrom } from "../../catalog/tuple.ts";
import { BUCKET_NAME_MAX, KEY_BYTES_MAX } from "../../objects/names.ts";
import { extentsInRange } from "../../objects/read-content.ts";
import type { Id } from "../../shared/ids.ts";
import type { AdminContext } from "../cluster-views.ts";
import { ApiError } from "../problem.ts";
import { type Assessment, assessBlob, NO_BLOBS, type Standard, standardOf, together } from "./assess.ts";
import { type ProveCursor, readCursor, writeCursor } from "./cursor.ts";
import { type ObjectProof, PROVE_LIMIT_MAX, type ProvePage } from "./prove-types.ts";

const OBJECTS_DEFAULT = 500;
/** Blobs with records of their own that one page reads. */
const BLOBS_MAX = 2_000;
/** Versions read at a time. */
const READ_AHEAD = 100;
/** How often a look at an object starts over because it was replaced meanwhile. */
const LOOKUPS_MAX = 8;

export interface ProveQuery {
  /** All buckets when absent. */
  readonly bucket?: string;
  readonly prefix: string;
  readonly after?: ProveCursor;
  /** Objects in the page, at most; an empty bucket counts as one. */
  readonly limit: number;
}

/** @throws ApiError */
export function readProveQuery(query: Readonly<Record<string, unknown>>): ProveQuery {
  const textOf = (name: string): string | undefined => {
    const given = query[name];
    if (given === undefined || typeof given === "string") return given;
    throw new ApiError(400, "Bad Request", `${name} is given more than once`);
  };
  const [bucket, prefix, after] = [textOf("bucket"), textOf("prefix") ?? "", textOf("after")];
  const limitText = textOf("limit") ?? String(OBJECTS_DEFAULT);
  const limit = /^\d{1,4}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > PROVE_LIMIT_MAX) {
    throw new ApiError(400, "Bad Request", `limit is a number from 1 to ${PROVE_LIMIT_MAX}`);
  }
  if (bucket === undefined && prefix !== "") throw new ApiError(400, "Bad Request", "a prefix goes with a bucket");
  return {
    ...(bucket === undefined ? {} : { bucket }),
    prefix,
    ...(after === undefined ? {} : { after: readCursor(after) }),
    limit,
  };
}

/** @throws ApiError; CatalogError */
export async function provePage(
  context: Pick<AdminContext, "catalog" | "members">,
  query: ProveQuery,
): Promise<ProvePage> {
  const page = new Page(context.catalog.kv, standardOf(context.members()), query.limit);
  const next = await page.fill(query);
  return {
    replication_factor: page.standard.factor,
    objects: page.objects,
    next: next === undefined ? null : writeCursor(next),
  };
}

class Page {
  readonly objects: ObjectProof[] = [];
  readonly standard: Standard;
  readonly #kv: Kv;
  #objectsLeft: number;
  #blobsLeft = BLOBS_MAX;

  constructor(kv: Kv, standard: Standard, limit: number) {
    this.#kv = kv;
    this.standard = standard;
    this.#objectsLeft = limit;
  }

  /** @returns where the next page begins; `undefined` at the end */
  async fill(query: ProveQuery): Promise<ProveCursor | undefined> {
    const { bucket: only, prefix, after } = query;
    if (Buffer.byteLength(prefix) > KEY_BYTES_MAX) return undefined;
    if (only !== undefined) return this.#bucket(await this.#requireBucket(only), prefix, after);
    const from = after === undefined ? bucketsRange().start : bucketKey(after.bucket.slice(0, BUCKET_NAME_MAX));
    // One more than can be looked at, to know whether there is another.
    const limit = this.#objectsLeft + 1;
    for (const entry of await this.#kv.list(rangeFrom(bucketsRange(), from), { limit })) {
      const bucket = decodeBucket(entry.value);
      const inside = after?.bucket === bucket.name ? after : undefined;
      if (this.#full) return inside ?? { bucket: bucket.name, key: "" };
      const next = await this.#bucket(bucket, prefix, inside);
      if (next !== undefined) return next;
      this.#objectsLeft--;
    }
    return undefined;
  }

  get #full(): boolean {
    return this.#objectsLeft <= 0 || this.#blobsLeft <= 0;
  }

  async #requireBucket(name: string): Promise<Bucket> {
    // Longer names may not even fit into a key of the catalog.
    const entry = name.length > BUCKET_NAME_MAX ? undefined : await this.#kv.get(bucketKey(name));
    if (entry === undefined) throw new ApiError(404, "Not Found", `there is no bucket ${name}`);
    return decodeBucket(entry.value);
  }

  async #bucket(bucket: Bucket, prefix: string, after: ProveCursor | undefined): Promise<ProveCursor | undefined> {
    const { bucketId, name } = bucket;
    const whole = objectsRange(bucketId, prefix);
    let from = after === undefined || after.key === "" ? whole.start : startOf(bucketId, after);
    let inside = after?.inside;
    let last = after?.key ?? "";
    for (;;) {
      const range = rangeFrom(whole, from);
      if (Buffer.compare(range.start, range.end) >= 0) return undefined;
      const limit = Math.min(READ_AHEAD, this.#objectsLeft + 1);
      const entries = await this.#kv.list(range, { limit });
      for (const entry of entries) {
        if (this.#full) return { bucket: name, key: last };
        const key = keyOfObject(entry.key);
        const goOn = key === after?.key ? inside : undefined;
        inside = undefined;
        const cut = await this.#object({ bucket: name, key, entry }, goOn);
        if (cut !== undefined) return { bucket: name, key, inside: cut };
        last = key;
      }
      const read = entries.at(-1);
      if (read === undefined || entries.length < limit) return undefined;
      from = afterKey(read.key);
    }
  }

  /** @returns where the object goes on, if it has more blobs than the page may look at */
  async #object(
    object: { readonly bucket: string; readonly key: string; readonly entry: KvEntry },
    inside: ProveCursor["inside"],
  ): Promise<ProveCursor["inside"]> {
    this.#objectsLeft--;
    let entry: KvEntry | undefined = object.entry;
    for (let lookup = 1; entry !== undefined; lookup++) {
      const version = decodeVersion(entry.value);
      const offset = inside?.versionId === version.versionId ? inside.offset : 0;
      try {
        const { end, assessment } = await this.#assess(version, offset);
        this.objects.push(proofOf(object, version, { offset, end, assessment }));
        return end < version.size ? { versionId: version.versionId, offset: end } : undefined;
      } catch (error) {
        if (!(error instanceof ContentGoneError)) throw error;
        if (lookup === LOOKUPS_MAX) {
          throw new ApiError(503, "Service Unavailable", `${object.bucket}/${object.key} keeps changing`, {
            cause: error,
          });
        }
      }
      entry = await this.#kv.get(entry.key);
    }
    return undefined;
  }

  /** As many blobs from an offset on as the page may look at; one at least. @throws ContentGoneError */
  async #assess(version: Version, offset: number): Promise<{ end: number; assessment: Assessment }> {
    const { content, size } = version;
    if (content.kind === "empty") return { end: size, assessment: NO_BLOBS };
    if (content.kind === "inline") return { end: size, assessment: assessBlob(this.standard, content.blob) };
    if (content.kind === "blob") return { end: size, assessment: await this.#ownBlob(content.blobId) };
    let assessment = NO_BLOBS;
    let end = offset;
    for await (const { blobId, length } of extentsInRange(this.#kv, content.manifestId, { start: offset, end: size })) {
      assessment = together(assessment, await this.#ownBlob(blobId));
      end += length;
      if (this.#blobsLeft <= 0) return { end, assessment };
    }
    return { end: size, assessment };
  }

  async #ownBlob(blobId: Id): Promise<Assessment> {
    this.#blobsLeft--;
    const entry = await this.#kv.get(blobKey(blobId));
    if (entry === undefined) throw new ContentGoneError();
    return assessBlob(this.standard, locatedOwn(entry).blob);
  }
}

function startOf(bucketId: Id, { key, inside }: ProveCursor): Buffer {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX)
    throw new ApiError(400, "Bad Request", "after is nothing that `next` said");
  const own = Buffer.from(objectKey(bucketId, key));
  return inside === undefined ? afterKey(own) : own;
}

function proofOf(
  { bucket, key }: { readonly bucket: string; readonly key: string },
  { versionId, isNull, size }: Version,
  { offset, end, assessment }: { readonly offset: number; readonly end: number; readonly assessment: Assessment },
): ObjectProof {
  const { blobs, good, wanted, reachable, domainCount, domains, verifiedAtMs, states, belowPolicy } = assessment;
  return {
    bucket,
    key,
    version_id: isNull ? "null" : versionId,
    size,
    offset,
    length: end - offset,
    blobs,
    good_copies: good ?? null,
    wanted_copies: wanted ?? null,
    reachable_copies: reachable ?? null,
    domain_count: domainCount ?? null,
    domains: [...domains],
    verified_at: typeof verifiedAtMs === "number" ? new Date(verifiedAtMs).toISOString() : null,
    states: { ...states },
    below_policy: belowPolicy,
  };
}
