/**
 * Bodies that are XML: small, read whole, and believed only when all that their sender stated of them is true.
 */
import type { ExpectedDigests } from "../objects/api.ts";
import type { ChecksumAlgorithm, Checksums } from "../shared/checksums.ts";
import { parseXml, type XmlElement, XmlError, type XmlLimits } from "../shared/xml.ts";
import type { Call } from "./call.ts";
import { checksumKind } from "./checksum-headers.ts";
import { S3Error } from "./errors.ts";
import { type ChecksumSubject, readPayload } from "./payload.ts";

/** What a call takes. */
export interface XmlPayloadRules {
  /** Name of the root element. */
  readonly root: string;
  readonly limits: XmlLimits;
  /** Whether a body that is not stated to have a Content-MD5 or a checksum is refused. */
  readonly digestRequired?: boolean;
  readonly checksumOf?: ChecksumSubject;
}

/**
 * The document's root element; `undefined` where there is no body.
 * @throws S3Error BadDigest, IncompleteBody, InvalidRequest, MalformedXML, MaxMessageLengthExceeded,
 *   XAmzContentSHA256Mismatch; those of readPayload
 */
export async function readXmlPayload(
  call: Pick<Call, "payload" | "request" | "checksums">,
  { root, limits, digestRequired = false, checksumOf = "body" }: XmlPayloadRules,
): Promise<XmlElement | undefined> {
  if (!call.payload.incoming.exists) return undefined;
  const { stream, length, expected } = readPayload(call, checksumOf);
  if (digestRequired && expected.md5 === undefined && expected.checksum === undefined) {
    throw new S3Error("InvalidRequest", {
      message: "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
    });
  }
  if (length > limits.bytesMax) throw new S3Error("MaxMessageLengthExceeded");
  const bytes = await collect(stream, length);
  verify(call.checksums, expected, bytes);
  if (bytes.length === 0) return undefined;
  const element = parse(bytes, limits);
  if (element.name !== root) throw new S3Error("MalformedXML");
  return element;
}

async function collect(stream: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== length) throw new S3Error("IncompleteBody");
  return bytes;
}

function verify(checksums: Checksums, { md5, sha256, checksum }: ExpectedDigests, bytes: Uint8Array): void {
  const digest = (algorithm: ChecksumAlgorithm): Buffer => {
    const hasher = checksums.start(algorithm);
    hasher.update(bytes);
    return Buffer.from(hasher.digest());
  };
  if (md5 !== undefined && !digest("md5").equals(md5)) throw new S3Error("BadDigest");
  if (sha256 !== undefined && !digest("sha256").equals(sha256)) throw new S3Error("XAmzContentSHA256Mismatch");
  const stated = checksum?.value();
  if (checksum !== undefined && stated !== undefined && !digest(checksumKind(checksum.algorithm)).equals(stated)) {
    throw new S3Error("BadDigest", {
      message: `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
    });
  }
}

function parse(bytes: Uint8Array, limits: XmlLimits): XmlElement {
  try {
    return parseXml(bytes, limits);
  } catch (error) {
    if (error instanceof XmlError) throw new S3Error("MalformedXML", { cause: error });
    throw error;
  }
}
