/**
 * Where things lie in a node's bucket. All that Bulkhead writes begins with `.bulkhead/`; one cluster a bucket.
 *
 *     .bulkhead/identity                                   whose the bucket is, found whoever asks
 *     .bulkhead/{clusterId}/blobs/{session}/{xx}/{random}  one copy; xx are the first two digits of random
 *     .bulkhead/{clusterId}/canary/{random}                a probe's, gone within seconds
 */
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import type { CopyKey } from "../storage-node.ts";

/** Before everything that Bulkhead writes, whatever the cluster. */
export const BULKHEAD_PREFIX = ".bulkhead/";
export const IDENTITY_KEY = `${BULKHEAD_PREFIX}identity`;

const SESSION_DIGITS = 8;
const CANARY_BYTES = 16;
const BLOB_PATH = /^([0-9a-f]{8})\/([0-9a-f]{2})\/(\2[0-9a-f]{30})$/;

export class NodeKeys {
  /** Before every key of the cluster. */
  readonly clusterPrefix: string;
  readonly #blobPrefix: string;
  readonly #canaryPrefix: string;

  constructor(clusterId: Id) {
    this.clusterPrefix = `${BULKHEAD_PREFIX}${clusterId}/`;
    this.#blobPrefix = `${this.clusterPrefix}blobs/`;
    this.#canaryPrefix = `${this.clusterPrefix}canary/`;
  }

  /** Two digits between session and random spread a session over 256 folders where an engine keeps folders. */
  blob(key: CopyKey): string {
    const random = key.slice(SESSION_DIGITS + 1);
    return `${this.#blobPrefix}${key.slice(0, SESSION_DIGITS)}/${random.slice(0, 2)}/${random}`;
  }

  /** Before all copies of a session, or before all. Node keys sort as copy keys do. */
  blobPrefix(session: number | undefined): string {
    if (session === undefined) return this.#blobPrefix;
    return `${this.#blobPrefix}${session.toString(16).padStart(SESSION_DIGITS, "0")}/`;
  }

  /** `undefined` for an object under our prefix that is none of ours by its name. */
  copyKey(nodeKey: string): CopyKey | undefined {
    if (!nodeKey.startsWith(this.#blobPrefix)) return undefined;
    const match = BLOB_PATH.exec(nodeKey.slice(this.#blobPrefix.length));
    return match === null ? undefined : `${match[1]}/${match[3]}`;
  }

  canary(random: Random): string {
    return this.#canaryPrefix + Buffer.from(random.bytes(CANARY_BYTES)).toString("hex");
  }
}
