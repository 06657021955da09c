/**
 * A storage node in a bucket of MinIO or any other S3 endpoint.
 *
 * What is particular to it: durable means what the engine's own 200 means. A node whose bucket is missing answers
 * `refused`, not `not-found`: it may be the wrong server, and only the identity says that the node was replaced.
 */
import type { Id } from "../../shared/ids.ts";
import { childrenOf, childText, type XmlElement } from "../../shared/xml.ts";
import { BlockReader } from "../block-reader.ts";
import {
  checkIdentity,
  checkKey,
  checkList,
  checkPut,
  checkRange,
  checkReplaceable,
  IDENTITY_BYTES_MAX,
} from "../call-checks.ts";
import type { NodeFigures } from "../node-figures.ts";
import { NodeLifetime } from "../node-lifetime.ts";
import {
  type BlobHeader,
  type BlobPage,
  type BlobStat,
  type ByteRange,
  type Capacity,
  type CopyKey,
  type ForeignReport,
  type ListRequest,
  NodeError,
  type ProbeDepth,
  type ProbeFinding,
  type PutReceipt,
  type PutRequest,
  type StorageNode,
} from "../storage-node.ts";
import { readRange } from "./blob-reader.ts";
import { BlobWriter } from "./blob-writer.ts";
import { BucketClient } from "./bucket-client.ts";
import { probeBucket } from "./bucket-probe.ts";
import { findForeignObjects } from "./foreign-objects.ts";
import { HttpTransport } from "./http-transport.ts";
import { listedKey } from "./listed-keys.ts";
import { scrapeMetrics } from "./metrics-scrape.ts";
import { IDENTITY_KEY, NodeKeys } from "./node-keys.ts";
import { S3Failure } from "./s3-failure.ts";
import {
  checkBucket,
  checkLimits,
  checkRegion,
  DEFAULT_S3_NODE_LIMITS,
  parseEndpoint,
  type S3NodeLimits,
  type S3NodeOptions,
} from "./s3-options.ts";
import { servedAs } from "./served-as.ts";
import { SigV4Signer } from "./sigv4-signer.ts";
import { WriteProofFinder } from "./write-proofs.ts";

const BLOB_ID_HEADER = "x-amz-meta-bulkhead-blob";
const NOT_IMPLEMENTED = 501;
const PRECONDITION_FAILED = 412;
/** Two conditional writes at a time. */
const CONFLICT = 409;

/** A node whose server serves metrics. */
export interface ScrapedNode extends StorageNode {
  /** One scrape, within some seconds. @throws NodeError, which says nothing of how the node stores and serves copies */
  scrape(signal?: AbortSignal): Promise<NodeFigures>;
}

/**
 * Asks nothing of the endpoint yet.
 * @throws NodeError `invalid` for options that cannot work
 */
export function openS3Node(options: S3NodeOptions): ScrapedNode {
  return new S3Node(options);
}

class S3Node implements ScrapedNode {
  readonly name: string;
  readonly #clusterId: Id;
  readonly #options: S3NodeOptions;
  readonly #limits: S3NodeLimits;
  readonly #keys: NodeKeys;
  readonly #lifetime: NodeLifetime;
  readonly #transport: HttpTransport;
  readonly #client: BucketClient;
  readonly #proofs: WriteProofFinder;

  constructor(options: S3NodeOptions) {
    const { name, bucket, clusterId, clock, random, region, accessKey, secretKey } = options;
    checkBucket(bucket);
    checkRegion(region);
    const { origin, host } = parseEndpoint(options.endpoint);
    this.name = name;
    this.#clusterId = clusterId;
    this.#options = options;
    this.#limits = { ...DEFAULT_S3_NODE_LIMITS, ...options.limits };
    checkLimits(this.#limits);
    this.#keys = new NodeKeys(clusterId);
    this.#lifetime = new NodeLifetime(name);
    this.#transport = new HttpTransport(origin, this.#limits, options.ca);
    this.#client = new BucketClient({
      bucket,
      transport: this.#transport,
      signer: new SigV4Signer({ accessKey, secretKey, region, host, clock }),
      lifetime: this.#lifetime,
      documentBytesMax: this.#limits.documentBytesMax,
    });
    this.#proofs = new WriteProofFinder({
      client: this.#client,
      keys: this.#keys,
      random,
      lifetime: this.#lifetime,
    });
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    const { key, header, blocks, signal } = request;
    this.#lifetime.enter(signal);
    checkPut(request, this.#clusterId);
    const reader = new BlockReader(request, this.#lifetime);
    try {
      const writer = new BlobWriter({
        client: this.#client,
        proofs: await this.#proofs.get(signal),
        limits: this.#limits,
        signal,
      });
      const proof = await writer.write({
        key: this.#keys.blob(key),
        headers: blobHeaders(header),
        length: header.length,
        reader,
        inMemory: Array.isArray(blocks),
      });
      return { proof };
    } finally {
      reader.release();
    }
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    this.#lifetime.enter(signal);
    checkKey(key);
    checkRange(range);
    return readRange({ client: this.#client, lifetime: this.#lifetime, key: this.#keys.blob(key), range, signal });
  }

  async head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    this.#lifetime.enter(signal);
    checkKey(key);
    const object = { key: this.#keys.blob(key), signal };
    try {
      const reply = await this.#client.send({ method: "HEAD", ...object });
      const blobId = reply.header(BLOB_ID_HEADER);
      const length = Number.parseInt(reply.header("content-length") ?? "", 10);
      if (Number.isNaN(length)) throw new NodeError("refused", "the node does not tell the length of an object");
      const served = servedAs(reply);
      return { key, length, ...(blobId === undefined ? {} : { blobId }), ...(served === undefined ? {} : { served }) };
    } catch (error) {
      if (!(await this.#isAbsent(error, object))) throw error;
      return undefined;
    }
  }

  /**
   * Whether a failed HEAD means that the object is certainly not there. A 404 to HEAD has no body to say what is
   * missing, the object, the bucket or a whole server behind a proxy; a GET does.
   */
  async #isAbsent(error: unknown, object: { key: string; signal: AbortSignal | undefined }): Promise<boolean> {
    if (!(error instanceof NodeError)) return false;
    if (error.kind === "not-found") return true;
    if (!(error.cause instanceof S3Failure && error.cause.status === 404 && error.cause.code === undefined)) {
      return false;
    }
    try {
      const reply = await this.#client.call({ method: "GET", headers: { range: "bytes=0-0" }, ...object });
      reply.body.discard();
      return false;
    } catch (second) {
      if (second instanceof NodeError && second.kind === "not-found") return true;
      throw second;
    }
  }

  async delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    this.#lifetime.enter(signal);
    checkKey(key);
    try {
      await this.#client.send({ method: "DELETE", key: this.#keys.blob(key), signal });
    } catch (error) {
      // Some engines say so where S3 itself answers 204.
      if (!(error instanceof NodeError && error.kind === "not-found")) throw error;
    }
  }

  async list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    this.#lifetime.enter(signal);
    checkList(request);
    const { session, after, limit } = request;
    const prefix = this.#keys.blobPrefix(session);
    let startAfter = after === undefined ? "" : this.#keys.blob(after);
    // Engines differ in what they make of a start outside the prefix.
    if (startAfter < prefix) startAfter = "";
    else if (!startAfter.startsWith(prefix)) return { blobs: [] };
    for (;;) {
      const { root } = await this.#client.document({
        method: "GET",
        query: {
          "list-type": "2",
          "max-keys": String(limit),
          "encoding-type": "url",
          prefix,
          ...(startAfter === "" ? {} : { "start-after": startAfter }),
        },
        signal,
      });
      const { blobs, lastKey } = this.#page(root);
      const more = childText(root, "IsTruncated") === "true" && lastKey !== undefined;
      const last = blobs.at(-1);
      if (!more) return { blobs };
      if (last !== undefined) return { blobs, next: last.key };
      // Nothing but foreign objects under our prefix: look behind them.
      startAfter = lastKey;
    }
  }

  #page(root: XmlElement): { blobs: BlobStat[]; lastKey: string | undefined } {
    if (root.name !== "ListBucketResult") {
      throw new NodeError("unreachable", "what answers is no S3 service: no listing");
    }
    const blobs: BlobStat[] = [];
    let lastKey: string | undefined;
    for (const object of childrenOf(root, "Contents")) {
      lastKey = listedKey(root, childText(object, "Key") ?? "");
      const key = this.#keys.copyKey(lastKey);
      const length = Number.parseInt(childText(object, "Size") ?? "", 10);
      if (key !== undefined && !Number.isNaN(length)) blobs.push({ key, length });
    }
    return { blobs, lastKey };
  }

  /**
   * S3 does not tell; the server's metrics may, each call by one scrape. That they cannot be read is no failure of the
   * node: it is then one that cannot tell.
   */
  async capacity(signal?: AbortSignal): Promise<Capacity | undefined> {
    this.#lifetime.enter(signal);
    if (this.#options.metrics === undefined) return undefined;
    try {
      return (await this.scrape(signal)).capacity;
    } catch {
      this.#lifetime.enter(signal);
      return undefined;
    }
  }

  async scrape(signal?: AbortSignal): Promise<NodeFigures> {
    this.#lifetime.enter(signal);
    const { metrics, clock } = this.#options;
    if (metrics === undefined) throw new NodeError("invalid", "the node has no metrics path");
    return scrapeMetrics({ ...metrics, transport: this.#transport, clock }, signal);
  }

  async foreign(signal?: AbortSignal): Promise<ForeignReport> {
    this.#lifetime.enter(signal);
    return findForeignObjects({ client: this.#client, keys: this.#keys }, signal);
  }

  async probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    this.#lifetime.enter(signal);
    const { clock, random, region } = this.#options;
    const options = {
      client: this.#client,
      keys: this.#keys,
      proofs: this.#proofs,
      lifetime: this.#lifetime,
      clock,
      random,
      region,
      clockSkewMsMax: this.#limits.clockSkewMsMax,
    };
    return probeBucket(options, depth, signal);
  }

  async readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    this.#lifetime.enter(signal);
    try {
      return await this.#client.read({ key: IDENTITY_KEY, signal }, IDENTITY_BYTES_MAX);
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      // A bucket that is gone held the identity: to this question the answer is as certain.
      const bucketGone = error.cause instanceof S3Failure && error.cause.code === "NoSuchBucket";
      if (error.kind === "not-found" || bucketGone) return undefined;
      throw error;
    }
  }

  async writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    this.#lifetime.enter(signal);
    checkIdentity(document);
    const before =
      over === undefined ? undefined : await this.#client.send({ method: "HEAD", key: IDENTITY_KEY, signal });
    checkReplaceable(await this.readIdentity(signal), { document, over });
    const etag = before?.header("etag");
    const headers = etag === undefined ? { "if-none-match": "*" } : { "if-match": etag };
    const put = { method: "PUT", key: IDENTITY_KEY, body: document, signal } as const;
    try {
      await this.#client.send({ ...put, headers });
    } catch (error) {
      const status = error instanceof NodeError && error.cause instanceof S3Failure ? error.cause.status : undefined;
      if (status === NOT_IMPLEMENTED) await this.#client.send(put);
      // What was first may be an earlier attempt of this very call, whose answer was lost: what is there tells.
      else if (status !== PRECONDITION_FAILED && status !== CONFLICT) throw error;
    }
    const held = await this.readIdentity(signal);
    if (held === undefined || !Buffer.from(document).equals(held)) {
      throw new NodeError("refused", "the node holds another identity than was written");
    }
  }

  async close(): Promise<void> {
    this.#lifetime.close();
    // By NodeLifetime's own word the reason is what calls under way are to answer.
    await this.#transport.close(this.#lifetime.signal.reason as NodeError);
  }
}

function blobHeaders({ clusterId, blobId, session, length }: BlobHeader): Record<string, string> {
  return {
    "x-amz-meta-bulkhead-cluster": clusterId,
    [BLOB_ID_HEADER]: blobId,
    "x-amz-meta-bulkhead-session": String(session),
    "x-amz-meta-bulkhead-length": String(length),
  };
}
