import { hash } from "node:crypto";
import { crc32c } from "../../shared/crc32c.ts";
import type { Random } from "../../shared/random.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import { NodeError, type NodeErrorKind } from "../storage-node.ts";
import { CRC32C_HEADER, encodeCrc32c, framedBytes } from "./block-body.ts";
import type { BucketClient } from "./bucket-client.ts";
import type { NodeKeys } from "./node-keys.ts";
import { UNSIGNED_PAYLOAD_TRAILER } from "./sigv4-signer.ts";

/** By what means a node can prove that it took the bytes that were sent. Reading back is always left. */
export interface WriteProofs {
  /** It refuses a body that does not match `x-amz-checksum-crc32c`. */
  readonly checksumHeader: boolean;
  /** The same with the checksum in a trailer, for bodies whose checksum is known only at their end. */
  readonly checksumTrailer: boolean;
  /** Its ETag of an object (or part) sent in one request is the MD5 of the bytes: not so where it encrypts. */
  readonly md5Etag: boolean;
}

const CANARY_BYTES = 64;
/** The canary with a frame around it. */
const FRAMED_BYTES_MAX = 1024;

/** Errors that say nothing of what the node supports. */
const INCONCLUSIVE: ReadonlySet<NodeErrorKind> = new Set([
  "unreachable",
  "timeout",
  "busy",
  "full",
  "read-only",
  "io",
  "aborted",
]);

export interface WriteProofFinderOptions {
  readonly client: BucketClient;
  readonly keys: NodeKeys;
  readonly random: Random;
  readonly lifetime: NodeLifetime;
}

/** Finds out by trying, with good and bad checksums on canaries, and remembers. */
export class WriteProofFinder {
  readonly #options: WriteProofFinderOptions;
  #finding: Promise<WriteProofs> | undefined;
  #found: WriteProofs | undefined;

  constructor(options: WriteProofFinderOptions) {
    this.#options = options;
  }

  /** What was found, tried now if it never was. Callers at the same time share one trial. @throws NodeError */
  async get(signal?: AbortSignal): Promise<WriteProofs> {
    return this.#found ?? this.#options.lifetime.wait(this.#finding ?? this.#start(), signal);
  }

  /** Tries again; until that has ended, what was found before holds. @throws NodeError */
  async refresh(signal?: AbortSignal): Promise<WriteProofs> {
    return this.#options.lifetime.wait(this.#start(), signal);
  }

  /** Without the caller's signal: others may wait for the same trial. */
  async #start(): Promise<WriteProofs> {
    const finding = this.#find();
    this.#finding = finding;
    try {
      this.#found = await finding;
      return this.#found;
    } finally {
      if (this.#finding === finding) this.#finding = undefined;
    }
  }

  async #find(): Promise<WriteProofs> {
    const { client, keys, random } = this.#options;
    const bytes = Buffer.from(random.bytes(CANARY_BYTES));
    const key = keys.canary(random);
    const crc = crc32c(bytes);
    // Another start gives another result, whatever the bytes.
    const wrong = crc32c(bytes, 1);
    try {
      const reply = await client.send({ method: "PUT", key, body: bytes });
      const md5Etag = etagOf(reply.header("etag")) === hash("md5", bytes);
      const header = (value: number): Promise<boolean> => {
        const headers = { [CRC32C_HEADER]: encodeCrc32c(value) };
        return accepted(client.send({ method: "PUT", key, headers, body: bytes }));
      };
      const trailer = (value: number): Promise<boolean> =>
        accepted(
          client.send({
            method: "PUT",
            key,
            headers: trailerHeaders(bytes.length),
            body: framedBytes(bytes, value),
            payloadHash: UNSIGNED_PAYLOAD_TRAILER,
          }),
        );
      const checksumHeader = !(await header(wrong)) && (await header(crc));
      const checksumTrailer = !(await trailer(wrong)) && (await trailer(crc)) && (await this.#holds(key, bytes));
      return { checksumHeader, checksumTrailer, md5Etag };
    } finally {
      await this.#remove(key);
    }
  }

  /** A node that takes the frame for content would store it as such. */
  async #holds(key: string, bytes: Buffer): Promise<boolean> {
    return bytes.equals(await this.#options.client.read({ key }, FRAMED_BYTES_MAX));
  }

  async #remove(key: string): Promise<void> {
    try {
      await this.#options.client.send({ method: "DELETE", key });
    } catch {
      // A canary that stays is harmless, and the trial's own outcome is what matters.
    }
  }
}

/** Headers of a body that is framed, for `length` bytes of content. */
export function trailerHeaders(length: number): Record<string, string> {
  return {
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": String(length),
    "x-amz-trailer": CRC32C_HEADER,
  };
}

/** An ETag without its quotes, in lower case. */
export function etagOf(header: string | undefined): string | undefined {
  return header?.replace(/^"|"$/g, "").toLowerCase();
}

async function accepted(put: Promise<unknown>): Promise<boolean> {
  try {
    await put;
    return true;
  } catch (error) {
    if (error instanceof NodeError && !INCONCLUSIVE.has(error.kind)) return false;
    throw error;
  }
}
