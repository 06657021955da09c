/**
 * The body of a request as the operation means it: decoded, with what its sender states of it.
 */
import type { Body, ExpectedDigests } from "../objects/api.ts";
import { AwsChunkedBody, readDecodedLength, readTrailerNames } from "./aws-chunked.ts";
import type { Call } from "./call.ts";
import { readContentMd5, readStatedDigests, type Trailers } from "./checksum-headers.ts";
import { S3Error } from "./errors.ts";

const NO_TRAILERS: Trailers = { names: [], values: () => new Map() };

/** What the checksum in a request's headers is of: CompleteMultipartUpload states that of the object. */
export type ChecksumSubject = "body" | "object";

/**
 * A body of stated length. Nothing is read yet; that the digests are right is for whoever reads it to see.
 * @throws S3Error MissingContentLength; InvalidArgument, InvalidDigest, InvalidRequest, NotImplemented for the headers
 *   that describe it
 */
export function readPayload(
  { payload, request }: Pick<Call, "payload" | "request">,
  checksumOf: ChecksumSubject = "body",
): Body {
  const { incoming, mode, chunkSigning } = payload;
  const { headers } = request;
  const stated = (trailers: Trailers): ExpectedDigests => {
    if (checksumOf === "body") return readStatedDigests(headers, trailers);
    const md5 = readContentMd5(headers);
    return md5 === undefined ? {} : { md5 };
  };
  if (mode.kind !== "aws-chunked") {
    if (incoming.length === undefined) throw new S3Error("MissingContentLength");
    const sha256 = mode.kind === "sha256" ? { sha256: Buffer.from(mode.sha256, "hex") } : {};
    const expected: ExpectedDigests = { ...stated(NO_TRAILERS), ...sha256 };
    return { length: incoming.length, stream: incoming.chunks(), expected };
  }
  const decodedLength = readDecodedLength(headers);
  const trailerNames = mode.trailer ? readTrailerNames(headers) : undefined;
  const stream = new AwsChunkedBody(incoming.chunks(), {
    decodedLength,
    ...(chunkSigning !== undefined && { signing: chunkSigning }),
    ...(trailerNames !== undefined && { trailerNames }),
  });
  const expected = stated({ names: trailerNames ?? [], values: () => stream.trailers });
  return { length: decodedLength, stream, expected };
}
