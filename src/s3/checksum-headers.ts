/**
 * The checksums that requests state of their bodies, and that answers tell of objects.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
import type { ChecksumAlgorithm, ChecksumType, ExpectedDigests, HeaderPairs, ObjectChecksum } from "../objects/api.ts";
import { DIGEST_BYTES, type ChecksumAlgorithm as DigestAlgorithm } from "../shared/checksums.ts";
import { S3Error } from "./errors.ts";
import { headerValue, type S3Headers } from "./headers.ts";

const PREFIX = "x-amz-checksum-";

/** Headers of the prefix that hold no checksum. */
const ABOUT_CHECKSUMS: ReadonlySet<string> = new Set(["algorithm", "type", "mode"]);

const DIGESTS: Readonly<Record<ChecksumAlgorithm, DigestAlgorithm>> = {
  CRC32: "crc32",
  CRC32C: "crc32c",
  CRC64NVME: "crc64nvme",
  SHA1: "sha1",
  SHA256: "sha256",
};

export const CHECKSUM_NAMES = Object.keys(DIGESTS) as readonly ChecksumAlgorithm[];

/** By the end of their headers' names, which is that of the digest. */
const ALGORITHMS: ReadonlyMap<string, { readonly algorithm: ChecksumAlgorithm; readonly bytes: number }> = new Map(
  CHECKSUM_NAMES.map((algorithm) => [DIGESTS[algorithm], { algorithm, bytes: DIGEST_BYTES[DIGESTS[algorithm]] }]),
);

/** S3 has these too; a request with one of them is refused by its name. */
const NOT_IMPLEMENTED: ReadonlySet<string> = new Set(["md5", "sha512", "xxhash3", "xxhash64", "xxhash128"]);

/** Trailers of a body, by lower-case name; complete after its end. */
export interface Trailers {
  /** As announced. */
  readonly names: readonly string[];
  readonly values: () => ReadonlyMap<string, string>;
}

/** How a checksum of S3's is computed. */
export function checksumKind(algorithm: ChecksumAlgorithm): DigestAlgorithm {
  return DIGESTS[algorithm];
}

/** The name of a header that states a checksum of this algorithm. */
export function checksumHeaderName(algorithm: ChecksumAlgorithm): string {
  return PREFIX + algorithm.toLowerCase();
}

/** Base64, as S3 shows it: that of a composite checksum ends with the number of parts. */
export function shownChecksum({ type, value }: ObjectChecksum, partCount: number | undefined): string {
  return type === "COMPOSITE" && partCount !== undefined ? `${value}-${partCount}` : value;
}

export function checksumAnswerHeaders(checksum: ObjectChecksum | undefined, partCount?: number): HeaderPairs {
  if (checksum === undefined) return [];
  return [
    [checksumHeaderName(checksum.algorithm), shownChecksum(checksum, partCount)],
    ["x-amz-checksum-type", checksum.type],
  ];
}

/**
 * The algorithm that a header names (`x-amz-checksum-algorithm`, `x-amz-sdk-checksum-algorithm`).
 * @throws S3Error InvalidRequest, NotImplemented
 */
export function readAlgorithm(headers: S3Headers, name: string): ChecksumAlgorithm | undefined {
  const value = headerValue(headers, name);
  if (value === undefined) return undefined;
  const known = ALGORITHMS.get(value.toLowerCase());
  if (known !== undefined) return known.algorithm;
  if (NOT_IMPLEMENTED.has(value.toLowerCase())) throw notImplemented(value);
  throw new S3Error("InvalidRequest", {
    message:
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
  });
}

/** `x-amz-checksum-type`. @throws S3Error InvalidRequest */
export function readChecksumType(headers: S3Headers): ChecksumType | undefined {
  const value = headerValue(headers, "x-amz-checksum-type");
  if (value === undefined || value === "FULL_OBJECT" || value === "COMPOSITE") return value;
  throw new S3Error("InvalidRequest", { message: "Value for x-amz-checksum-type header is invalid." });
}

/**
 * The one checksum in the headers of a request, as text.
 * @throws S3Error InvalidRequest for several or none that can be one, NotImplemented
 */
export function readChecksumHeader(
  headers: S3Headers,
): { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined {
  const [name, ...more] = checksumNames(headers.keys());
  if (name === undefined) return undefined;
  if (more.length > 0) throw severalChecksums();
  return { algorithm: algorithmOf(name), value: headerValue(headers, name) ?? "" };
}

/**
 * What a request states of the bytes of its body: Content-MD5, and a checksum in a header or in a trailer.
 * @throws S3Error InvalidDigest, InvalidRequest, NotImplemented
 */
export function readStatedDigests(headers: S3Headers, trailers: Trailers): Pick<ExpectedDigests, "md5" | "checksum"> {
  const md5 = readContentMd5(headers);
  const checksum = readStatedChecksum(headers, trailers);
  const wanted = readAlgorithm(headers, "x-amz-sdk-checksum-algorithm");
  if (wanted !== undefined && checksum === undefined) {
    throw new S3Error("InvalidRequest", {
      message:
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    });
  }
  if (wanted !== undefined && wanted !== checksum?.algorithm) {
    throw new S3Error("InvalidRequest", { message: "Value for x-amz-sdk-checksum-algorithm header is invalid." });
  }
  return { ...(md5 !== undefined && { md5 }), ...(checksum !== undefined && { checksum }) };
}

function readStatedChecksum(headers: S3Headers, trailers: Trailers): ExpectedDigests["checksum"] {
  const [trailer, ...more] = trailers.names;
  const header = readChecksumHeader(headers);
  if (more.length > 0 || (trailer !== undefined && header !== undefined)) throw severalChecksums();
  if (trailer !== undefined) {
    const value = (): Uint8Array => decode(trailer, trailers.values().get(trailer) ?? "");
    return { algorithm: algorithmOf(trailer), value };
  }
  if (header === undefined) return undefined;
  const value = decode(checksumHeaderName(header.algorithm), header.value);
  return { algorithm: header.algorithm, value: () => value };
}

/** @throws S3Error InvalidDigest */
export function readContentMd5(headers: S3Headers): Uint8Array | undefined {
  const text = headerValue(headers, "content-md5");
  if (text === undefined) return undefined;
  const md5 = decodeBase64(text, DIGEST_BYTES.md5);
  if (md5 === undefined) throw new S3Error("InvalidDigest", { fields: { "Content-MD5": text } });
  return md5;
}

function checksumNames(names: Iterable<string>): string[] {
  return [...names].filter((name) => name.startsWith(PREFIX) && !ABOUT_CHECKSUMS.has(name.slice(PREFIX.length)));
}

function algorithmOf(headerName: string): ChecksumAlgorithm {
  const name = headerName.slice(PREFIX.length);
  const known = ALGORITHMS.get(name);
  if (known !== undefined) return known.algorithm;
  if (NOT_IMPLEMENTED.has(name)) throw notImplemented(name);
  throw invalidValue(headerName);
}

function decode(headerName: string, text: string): Uint8Array {
  const bytes = decodeBase64(text, ALGORITHMS.get(headerName.slice(PREFIX.length))?.bytes ?? 0);
  if (bytes === undefined) throw invalidValue(headerName);
  return bytes;
}

/** Strict, as `Buffer.from` would take anything. */
function decodeBase64(text: string, length: number): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === length && bytes.toString("base64") === text ? bytes : undefined;
}

function severalChecksums(): S3Error {
  return new S3Error("InvalidRequest", {
    message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
  });
}

function invalidValue(headerName: string): S3Error {
  return new S3Error("InvalidRequest", { message: `Value for ${headerName} header is invalid.` });
}

function notImplemented(algorithm: string): S3Error {
  return new S3Error("NotImplemented", {
    message: `The checksum algorithm ${algorithm.toUpperCase()} is not implemented.`,
  });
}
