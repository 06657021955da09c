/**
 * Whether a bucket is there, may be used, and does what Bulkhead relies on. Each check has a name and ends in a
 * finding; none stops the others, save that nothing else can be asked of a node that is not there.
 */
import type { Clock } from "../../shared/clock.ts";
import type { Random } from "../../shared/random.ts";
import { childrenOf, childText } from "../../shared/xml.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import { NodeError, type ProbeDepth, type ProbeFinding } from "../storage-node.ts";
import { readRange } from "./blob-reader.ts";
import type { AnswerDocument, BucketClient } from "./bucket-client.ts";
import type { NodeKeys } from "./node-keys.ts";
import { reasonOf, S3Failure } from "./s3-failure.ts";
import type { WriteProofFinder } from "./write-proofs.ts";

const CANARY_BYTES = 4096;
/** Of a page that shows that the bucket can be listed. */
const LIST_KEYS = 50;
const CANARY_METADATA = "x-amz-meta-bulkhead-canary";

export interface BucketProbeOptions {
  readonly client: BucketClient;
  readonly keys: NodeKeys;
  readonly proofs: WriteProofFinder;
  readonly lifetime: NodeLifetime;
  readonly clock: Clock;
  readonly random: Random;
  readonly region: string;
  readonly clockSkewMsMax: number;
}

/** @throws NodeError only when the signal aborts or the node is closed */
export async function probeBucket(
  options: BucketProbeOptions,
  depth: ProbeDepth,
  signal?: AbortSignal,
): Promise<readonly ProbeFinding[]> {
  const probe = new BucketProbe(options, signal);
  return probe.run(depth);
}

class BucketProbe {
  readonly #options: BucketProbeOptions;
  readonly #client: BucketClient;
  readonly #signal: AbortSignal | undefined;
  readonly #findings: ProbeFinding[] = [];

  constructor(options: BucketProbeOptions, signal: AbortSignal | undefined) {
    this.#options = options;
    this.#client = options.client;
    this.#signal = signal;
  }

  async run(depth: ProbeDepth): Promise<readonly ProbeFinding[]> {
    if (!(await this.#reach(depth === "admission"))) return this.#findings;
    if (depth === "list") await this.#check("list", () => this.#listPage());
    if (depth === "canary") await this.#check("read-after-write", () => this.#readAfterWrite());
    if (depth === "admission") {
      await this.#check("versioning-off", () => this.#versioningOff());
      await this.#check("no-lifecycle", () => this.#noLifecycle());
      await this.#check("no-lock", () => this.#noLock());
      await this.#check("read-after-write", () => this.#readAfterWrite());
      await this.#check("metadata", () => this.#metadata());
      await this.#check("ranges", () => this.#ranges());
      await this.#check("multipart", () => this.#multipart());
      await this.#check("checksum", () => this.#checksum());
    }
    return this.#findings;
  }

  /** Whether the bucket may be used; it is made where it is missing, if so asked. */
  async #reach(create: boolean): Promise<boolean> {
    try {
      let answer: AnswerDocument;
      let created: string | undefined;
      try {
        answer = await this.#listOne();
      } catch (error) {
        if (!create || codeOf(error) !== "NoSuchBucket") throw error;
        await this.#createBucket();
        created = "the bucket was made";
        answer = await this.#listOne();
      }
      this.#pass("reach");
      this.#pass("access");
      this.#pass("bucket-exists", created);
      this.#clockSkew(answer.dateMs);
      return true;
    } catch (error) {
      this.#unusable(this.#failure(error));
      return false;
    }
  }

  /** Which of the checks an error of the first call stands for. What is not usable at all was not reached. */
  #unusable(error: NodeError): void {
    const code = codeOf(error);
    const known = code === "NoSuchBucket" || code === "RequestTimeTooSkewed" || error.kind === "access-denied";
    if (!known) return this.#fail("reach", error);
    this.#pass("reach");
    if (error.kind === "access-denied") return this.#fail("access", error);
    if (code === "RequestTimeTooSkewed") return this.#clockSkew(failureOf(error)?.dateMs, true);
    this.#pass("access");
    this.#fail("bucket-exists", error);
  }

  #listOne(): Promise<AnswerDocument> {
    const query = { "list-type": "2", "max-keys": "1", prefix: this.#options.keys.clusterPrefix };
    return this.#client.document({ method: "GET", query, signal: this.#signal });
  }

  /** A page of what is ours. */
  async #listPage(): Promise<void> {
    const prefix = this.#options.keys.clusterPrefix;
    const query = { "list-type": "2", "max-keys": String(LIST_KEYS), prefix };
    const { root } = await this.#client.document({ method: "GET", query, signal: this.#signal });
    const keys = childrenOf(root, "Contents").map((object) => childText(object, "Key") ?? "");
    if (keys.some((key) => !key.startsWith(prefix))) {
      throw new NodeError("refused", "a listing has keys that were not asked for");
    }
  }

  async #createBucket(): Promise<void> {
    const { region } = this.#options;
    const call = { method: "PUT", signal: this.#signal } as const;
    try {
      // us-east-1 is the one region that must not be named.
      await this.#client.send(region === "us-east-1" ? call : { ...call, body: locationConstraint(region) });
    } catch (error) {
      // Another gateway was faster.
      if (codeOf(error) !== "BucketAlreadyOwnedByYou") throw error;
    }
  }

  /**
   * By a Date in whole seconds: nothing next to the limit.
   * @param refused whether the node has said itself that the clocks differ too much
   */
  #clockSkew(dateMs: number | undefined, refused = false): void {
    const skewMs = (dateMs ?? Number.NaN) - this.#options.clock.nowMs();
    if (!refused && !(Math.abs(skewMs) > this.#options.clockSkewMsMax)) return this.#pass("clock-skew");
    const off = Number.isNaN(skewMs) ? "too far" : `${Math.round(skewMs / 1000)} s`;
    this.#findings.push({ check: "clock-skew", passed: false, reason: `the node's clock is ${off} off ours` });
  }

  async #versioningOff(): Promise<void> {
    const answer = await this.#configuration("versioning", []);
    const status = answer && childText(answer.root, "Status");
    // Suspended too: its deletes leave markers for ever.
    if (status) throw new NodeError("refused", `versioning of the bucket is ${status}: it must never have been on`);
  }

  async #noLifecycle(): Promise<void> {
    const answer = await this.#configuration("lifecycle", ["NoSuchLifecycleConfiguration", "NoSuchBucketLifecycle"]);
    const rules = answer === undefined ? [] : childrenOf(answer.root, "Rule");
    // A rule that only ends stale multipart uploads takes nothing of ours away.
    const harmless = new Set(["ID", "Prefix", "Filter", "Status", "AbortIncompleteMultipartUpload"]);
    if (rules.some((rule) => rule.children.some(({ name }) => !harmless.has(name)))) {
      throw new NodeError("refused", "the bucket has lifecycle rules that may remove or move objects");
    }
  }

  async #noLock(): Promise<void> {
    const answer = await this.#configuration("object-lock", [
      "ObjectLockConfigurationNotFoundError",
      "NoSuchObjectLockConfiguration",
    ]);
    if (answer && childText(answer.root, "ObjectLockEnabled") === "Enabled") {
      throw new NodeError("refused", "objects of the bucket can be locked against deletion");
    }
  }

  /** A configuration of the bucket; `undefined` where there is none, or where the node knows no such thing. */
  async #configuration(name: string, absent: readonly string[]): Promise<AnswerDocument | undefined> {
    try {
      return await this.#client.document({ method: "GET", query: { [name]: "" }, signal: this.#signal });
    } catch (error) {
      const { status, code = "" } = failureOf(error) ?? {};
      if (status === 501 || status === 405 || absent.includes(code)) return undefined;
      throw error;
    }
  }

  async #readAfterWrite(): Promise<void> {
    await this.#withCanary(async (key, bytes) => {
      await this.#client.send({ method: "PUT", key, body: bytes, signal: this.#signal });
      if (!bytes.equals(await this.#get(key))) throw new NodeError("corrupt", "a canary was read back changed");
      if (!(await this.#lists(key))) throw new NodeError("refused", "a canary is not listed after it was written");
      await this.#client.send({ method: "DELETE", key, signal: this.#signal });
      const gone = await this.#get(key).then(
        () => false,
        (error: unknown) => codeOf(error) === "NoSuchKey",
      );
      if (!gone) throw new NodeError("refused", "a canary is not missing after it was deleted");
      if (await this.#lists(key)) throw new NodeError("refused", "a canary is listed after it was deleted");
    });
  }

  async #metadata(): Promise<void> {
    await this.#withCanary(async (key, bytes) => {
      const headers = { [CANARY_METADATA]: "kept" };
      await this.#client.send({ method: "PUT", key, headers, body: bytes, signal: this.#signal });
      const reply = await this.#client.send({ method: "HEAD", key, signal: this.#signal });
      if (reply.header(CANARY_METADATA) !== "kept") throw new NodeError("refused", "metadata of objects is not kept");
      if (reply.header("content-length") !== String(bytes.length)) {
        throw new NodeError("refused", "the length of objects is not told by HEAD");
      }
    });
  }

  async #ranges(): Promise<void> {
    await this.#withCanary(async (key, bytes) => {
      await this.#client.send({ method: "PUT", key, body: bytes, signal: this.#signal });
      const range = { start: 1, end: bytes.length - 1 };
      const { lifetime } = this.#options;
      const chunks = await readRange({ client: this.#client, lifetime, key, range, signal: this.#signal });
      const read: Uint8Array[] = [];
      for await (const chunk of chunks) read.push(chunk);
      if (!Buffer.concat(read).equals(bytes.subarray(range.start, range.end))) {
        throw new NodeError("corrupt", "a range of a canary was read back changed");
      }
    });
  }

  async #multipart(): Promise<void> {
    await this.#withCanary(async (key, bytes) => {
      const signal = this.#signal;
      const { root } = await this.#client.document({ method: "POST", key, query: { uploads: "" }, signal });
      const uploadId = childText(root, "UploadId") ?? "";
      try {
        const query = { partNumber: "1", uploadId };
        const part = await this.#client.send({ method: "PUT", key, query, body: bytes, signal });
        const listed = `<Part><PartNumber>1</PartNumber><ETag>${part.header("etag") ?? ""}</ETag></Part>`;
        const completion = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed}</CompleteMultipartUpload>`;
        await this.#client.document({ method: "POST", key, query: { uploadId }, signal }, completion);
      } catch (error) {
        await this.#client.send({ method: "DELETE", key, query: { uploadId }, signal }).catch(() => {});
        throw error;
      }
      if (!bytes.equals(await this.#get(key)))
        throw new NodeError("corrupt", "a canary in parts was read back changed");
    });
  }

  async #checksum(): Promise<string> {
    const { checksumHeader, checksumTrailer, md5Etag } = await this.#options.proofs.refresh(this.#signal);
    const proofOf = (checksum: boolean): string => (checksum ? "CRC32C" : md5Etag ? "ETag" : "reading back");
    return `writes are proven by ${proofOf(checksumHeader)}, streams by ${proofOf(checksumTrailer)}`;
  }

  #get(key: string): Promise<Buffer> {
    return this.#client.read({ key, signal: this.#signal }, CANARY_BYTES);
  }

  async #lists(key: string): Promise<boolean> {
    const query = { "list-type": "2", "max-keys": "1", prefix: key };
    const { root } = await this.#client.document({ method: "GET", query, signal: this.#signal });
    return childrenOf(root, "Contents").some((object) => childText(object, "Key") === key);
  }

  /** Runs with a key and bytes drawn for it, and leaves nothing under that key. */
  async #withCanary(run: (key: string, bytes: Buffer) => Promise<void>): Promise<void> {
    const { keys, random } = this.#options;
    const key = keys.canary(random);
    try {
      await run(key, Buffer.from(random.bytes(CANARY_BYTES)));
    } finally {
      // Also where the caller gave up. A canary that stays is harmless.
      await this.#client.send({ method: "DELETE", key }).catch(() => {});
    }
  }

  async #check(check: string, run: () => Promise<string | void>): Promise<void> {
    try {
      this.#pass(check, (await run()) ?? undefined);
    } catch (error) {
      this.#fail(check, this.#failure(error));
    }
  }

  /** The error as a finding's; the caller's giving up is none. */
  #failure(error: unknown): NodeError {
    this.#options.lifetime.enter(this.#signal);
    if (error instanceof NodeError) return error;
    throw error;
  }

  #pass(check: string, note?: string): void {
    this.#findings.push({ check, passed: true, ...(note === undefined ? {} : { reason: note }) });
  }

  #fail(check: string, error: NodeError): void {
    this.#findings.push({ check, passed: false, reason: reasonOf(error), kind: error.kind });
  }
}

function failureOf(error: unknown): S3Failure | undefined {
  return error instanceof NodeError && error.cause instanceof S3Failure ? error.cause : undefined;
}

function codeOf(error: unknown): string | undefined {
  return failureOf(error)?.code;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
function locationConstraint(region: string): Buffer {
  const constraint = `<LocationConstraint>${region}</LocationConstraint>`;
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  return Buffer.from(`<CreateBucketConfiguration xmlns="${namespace}">${constraint}</CreateBucketConfiguration>`);
}
