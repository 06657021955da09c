/**
 * Digests a body on its one way through: MD5 for the ETag and whatever the client stated, verified at the end.
 */
import { timingSafeEqual } from "node:crypto";
import type { ChecksumAlgorithm, ObjectChecksum } from "../catalog/records/version.ts";
import type { Checksums, ChecksumAlgorithm as HashAlgorithm, Hasher } from "../shared/checksums.ts";
import { type ExpectedDigests, ObjectError } from "./api.ts";

export const HASHES: Readonly<Record<ChecksumAlgorithm, HashAlgorithm>> = {
  CRC32: "crc32",
  CRC32C: "crc32c",
  CRC64NVME: "crc64nvme",
  SHA1: "sha1",
  SHA256: "sha256",
};

export interface BodyResult {
  /** MD5 as 32 hex digits. */
  readonly etag: string;
  readonly checksum?: ObjectChecksum;
}

export class BodyDigests {
  readonly #expected: ExpectedDigests;
  readonly #md5: Hasher;
  readonly #sha256: Hasher | undefined;
  readonly #checksum: Hasher | undefined;

  constructor(checksums: Checksums, expected: ExpectedDigests) {
    this.#expected = expected;
    this.#md5 = checksums.start("md5");
    this.#sha256 = expected.sha256 && checksums.start("sha256");
    this.#checksum = expected.checksum && checksums.start(HASHES[expected.checksum.algorithm]);
  }

  /** Passes the stream through. */
  async *through(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stream) {
      this.#md5.update(chunk);
      this.#sha256?.update(chunk);
      this.#checksum?.update(chunk);
      yield chunk;
    }
  }

  /**
   * After the whole body went through.
   * @throws ObjectError bad-digest, bad-sha256 or bad-checksum
   */
  verify(): BodyResult {
    const { md5, sha256, checksum } = this.#expected;
    const md5Actual = this.#md5.digest();
    if (md5 !== undefined && !equal(md5, md5Actual)) {
      throw new ObjectError("bad-digest", "The Content-MD5 you specified did not match what we received.");
    }
    if (sha256 !== undefined && this.#sha256 !== undefined && !equal(sha256, this.#sha256.digest())) {
      throw new ObjectError(
        "bad-sha256",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    }
    const etag = Buffer.from(md5Actual).toString("hex");
    if (checksum === undefined || this.#checksum === undefined) return { etag };
    const actual = this.#checksum.digest();
    const stated = checksum.value();
    if (stated !== undefined && !equal(stated, actual)) {
      const { algorithm } = checksum;
      throw new ObjectError("bad-checksum", `The ${algorithm} you specified did not match the calculated checksum.`, {
        algorithm,
      });
    }
    const value = Buffer.from(actual).toString("base64");
    return { etag, checksum: { algorithm: checksum.algorithm, type: "FULL_OBJECT", value } };
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
