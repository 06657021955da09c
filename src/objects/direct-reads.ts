/**
 * Reads of objects from a storage node itself, by a URL that the node honours for a while.
 *
 * A copy on a node is the plain bytes of a blob and nothing else: no metadata, no content headers, no key. So only an
 * object that is one whole blob can be read there. Content headers are asked of the node in the URL. Whatever else an
 * answer of the gateway would have said, the node cannot say; `differences` names it.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog/catalog.ts";
import { blobKey } from "../catalog/keys.ts";
import type { KvEntry } from "../catalog/kv.ts";
import { type Blob, decodeBlob } from "../catalog/records/blob.ts";
import type { Version } from "../catalog/records/version.ts";
import type { ServedAs } from "../nodes/storage-node.ts";
import type { DirectCopies, DirectCopy } from "../replication/read/direct-copies.ts";
import { enterPin, PIN_MARGIN_MS } from "../replication/reclaim/pins.ts";
import type { Clock } from "../shared/clock.ts";
import { signedAtMs } from "../shared/presign-url.ts";
import { ObjectError } from "./api.ts";
import { requireBucket } from "./bucket-lookup.ts";
import { translateCatalogError } from "./commit-version.ts";
import { findVersion } from "./find-version.ts";

/** Life of the URL that a read is sent on to: long enough to follow a redirect, no longer. */
export const REDIRECT_SECONDS = 60;
/** A node that does not answer for its copy within this is no faster than the gateway: a reader waits for it. */
const REDIRECT_HEAD_TIMEOUT_MS = 500;
/** The same where an operator waits. */
const OPERATOR_HEAD_TIMEOUT_MS = 5_000;
/** A node may judge a URL's age by a clock that is off by so much (its admission allows no more). */
const NODE_SKEW_MS_MAX = 5 * 60 * 1000;

/** What an answer of the node would lack, or say otherwise, than the gateway's. */
export type Difference = "metadata" | "checksum" | "etag" | "content-headers" | "last-modified";

/** Why a read is not sent on to a node. */
export const DECLINE_REASONS = [
  "no-grace",
  "not-one-blob",
  "metadata",
  "no-node",
  "other-etag",
  "other-headers",
  "last-modified",
] as const;
export type DeclineReason = (typeof DECLINE_REASONS)[number];

export interface DirectReadsDeps {
  readonly catalog: Catalog;
  readonly copies: Pick<DirectCopies, "find">;
  readonly clock: Clock;
  /** storage.delete.grace */
  readonly graceMs: number;
  /** Told of every read that was sent on to a node, or not though its bucket wants it. Must not throw. */
  readonly onRedirect: (outcome: { readonly node: string } | { readonly declined: DeclineReason }) => void;
}

interface Target {
  readonly bucket: string;
  readonly key: string;
  /** `null`, or a version id. */
  readonly versionId?: string;
}

export interface NodeUrlRequest extends Target {
  readonly method: "GET" | "HEAD";
  /** 1 s to 7 d. */
  readonly expiresSeconds: number;
  readonly nodeName?: string;
}

export interface NodeUrl {
  readonly url: string;
  readonly nodeName: string;
  readonly expiresAtMs: number;
  /** The pin that keeps the copy there meanwhile, where the grace time would not. */
  readonly pinId?: string;
  readonly differences: readonly Difference[];
}

export class DirectReads {
  readonly #deps: DirectReadsDeps;

  constructor(deps: DirectReadsDeps) {
    this.#deps = deps;
  }

  /**
   * A URL that a whole read of the object may be sent on to, for REDIRECT_SECONDS; `undefined` where its bucket does not
   * want that, or the node's answer would not be the gateway's.
   * @throws ObjectError no-such-bucket, no-such-key, no-such-version, unavailable
   */
  async redirect(target: Target): Promise<string | undefined> {
    const { catalog, onRedirect } = this.#deps;
    const { bucket } = await translated(requireBucket(catalog.kv, target.bucket));
    if (!bucket.readRedirect) return undefined;
    const found = await translated(this.#redirect(target));
    onRedirect(typeof found === "string" ? { declined: found } : { node: found.nodeName });
    return typeof found === "string" ? undefined : found.url;
  }

  async #redirect(target: Target): Promise<{ readonly url: string; readonly nodeName: string } | DeclineReason> {
    const { catalog, copies, clock } = this.#deps;
    if (!this.#coveredByGrace(REDIRECT_SECONDS)) return "no-grace";
    // The clock first: what was looked up later dies later, and its grace time begins then.
    const nowMs = clock.nowMs();
    const { version } = await findVersion({ catalog }, target);
    if (version.metadata.length > 0) return "metadata";
    const blob = (await this.#wholeBlob(version))?.blob;
    if (blob === undefined) return "not-one-blob";
    const copy = await copies.find(blob, { externalOnly: true, timeoutMs: REDIRECT_HEAD_TIMEOUT_MS });
    if (copy === undefined) return "no-node";
    const differences = differencesOf(version, copy.served, nowMs);
    if (differences.includes("etag")) return "other-etag";
    if (differences.includes("content-headers")) return "other-headers";
    if (differences.includes("last-modified")) return "last-modified";
    return { url: signFor(copy, version, { method: "GET", nowMs, expiresSeconds: REDIRECT_SECONDS }), ...copy };
  }

  /**
   * A URL of a copy on its node, as an operator asks for it. Where it lives longer than the grace time covers, the copy
   * is pinned: it stays on its node even if the object is deleted or the copy replaced.
   * @throws ObjectError no-such-bucket, no-such-key, no-such-version; invalid-request where the object is not one blob;
   *   unavailable where no node has a copy to offer now; conflict. TooManyPinsError
   */
  nodeUrl(request: NodeUrlRequest): Promise<NodeUrl> {
    return translated(this.#nodeUrl(request));
  }

  async #nodeUrl(request: NodeUrlRequest): Promise<NodeUrl> {
    const { catalog, copies, clock } = this.#deps;
    const { bucket, key, method, expiresSeconds, nodeName } = request;
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const nowMs = clock.nowMs();
      const { version, entry } = await findVersion({ catalog }, request);
      const whole = await this.#wholeBlob(version);
      if (whole === undefined) throw notOneBlob();
      const named = nodeName === undefined ? {} : { nodeName };
      const wish = { externalOnly: false, timeoutMs: OPERATOR_HEAD_TIMEOUT_MS, ...named };
      const copy = await copies.find(whole.blob, wish);
      if (copy === undefined) throw noNode();
      const expiresAtMs = signedAtMs(nowMs) + expiresSeconds * 1000;
      const url = signFor(copy, version, { method, nowMs, expiresSeconds });
      const { location } = copy;
      const answer = {
        url,
        nodeName: copy.nodeName,
        expiresAtMs,
        differences: differencesOf(version, copy.served, nowMs),
      };
      if (this.#coveredByGrace(expiresSeconds) && expiresSeconds <= REDIRECT_SECONDS) return answer;
      const atomic = catalog.begin().check(entry.key, entry.version);
      if (whole.entry !== undefined) atomic.check(whole.entry.key, whole.entry.version);
      const pinId = await enterPin(catalog.kv, atomic, {
        blobId: whole.blob.blobId,
        untilMs: expiresAtMs + PIN_MARGIN_MS,
        pin: { createdAtMs: nowMs, bucket, key, location, ended: false },
      });
      if ((await catalog.commit(atomic)).committed) return { ...answer, pinId };
    }
    throw new ObjectError("conflict", "The object keeps changing; try again");
  }

  /** Whether the grace time keeps a copy that dies now on its node while a URL of so many seconds lives. */
  #coveredByGrace(expiresSeconds: number): boolean {
    return this.#deps.graceMs >= expiresSeconds * 1000 + NODE_SKEW_MS_MAX;
  }

  /**
   * The one blob whose stored bytes are exactly the object's, and its record where it has one of its own. Every blob lies
   * alone on its nodes and none is encrypted; when that changes, this is the place to tell.
   */
  async #wholeBlob(version: Version): Promise<{ readonly blob: Blob; readonly entry?: KvEntry } | undefined> {
    const { content, size } = version;
    if (content.kind === "inline") return content.blob.length === size ? { blob: content.blob } : undefined;
    if (content.kind !== "blob") return undefined;
    const entry = await this.#deps.catalog.kv.get(blobKey(content.blobId));
    if (entry === undefined) return undefined;
    const blob = decodeBlob(entry.value);
    return blob.length === size ? { blob, entry } : undefined;
  }
}

async function translated<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw translateCatalogError(error);
  }
}

function signFor(
  { direct, location }: DirectCopy,
  { headers }: Version,
  url: { readonly method: "GET" | "HEAD"; readonly nowMs: number; readonly expiresSeconds: number },
): string {
  return direct.sign(location.key, { ...url, headers });
}

function differencesOf({ metadata, checksum, etag, headers }: Version, served: ServedAs, nowMs: number): Difference[] {
  const encoded = headers.some(([name]) => name === "content-encoding");
  // A header is bytes and a URL is UTF-8: only ASCII comes back from the node as it was.
  const foreign = headers.some(([, value]) => !/^[ -~]*$/.test(value));
  return [
    ...(metadata.length > 0 ? ["metadata" as const] : []),
    ...(checksum === undefined ? [] : ["checksum" as const]),
    ...(served.etag === etag ? [] : ["etag" as const]),
    ...(!foreign && (served.contentEncoding === undefined || encoded) ? [] : ["content-headers" as const]),
    // The node's is when the copy was made, by its clock. Whoever sends it back as a condition is answered rightly as
    // long as it lies before everything that may still happen to the object.
    ...(served.modifiedAtMs < signedAtMs(nowMs) ? [] : ["last-modified" as const]),
  ];
}

function notOneBlob(): ObjectError {
  return new ObjectError(
    "invalid-request",
    "The object is empty, was uploaded in parts or is cut in segments: it is not one blob on a node",
  );
}

function noNode(): ObjectError {
  return new ObjectError("unavailable", "No S3 node that serves reads has a verified copy of the object now");
}
