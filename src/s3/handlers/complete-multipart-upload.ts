/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
import type { ChecksumAlgorithm, ChecksumType, CompletedPart } from "../../objects/api.ts";
import { childrenOf, childText, type XmlElement } from "../../shared/xml.ts";
import type { ObjectCall } from "../call.ts";
import { CHECKSUM_NAMES, readChecksumHeader, readChecksumType } from "../checksum-headers.ts";
import { invalidArgument, S3Error } from "../errors.ts";
import { bareEtag, quotedEtag, readWriteConditions } from "../etags.ts";
import { headerValue, type S3Headers } from "../headers.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { PART_NUMBER_MAX } from "../part-number.ts";
import { uriEncodePath } from "../url-encoding.ts";
import { readXmlPayload } from "../xml-payload.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeChecksum } from "./checksum-elements.ts";
import { uploadOf } from "./upload-of.ts";

/** 10,000 parts with an ETag and a checksum each take some 2 MiB. */
const LIMITS = { bytesMax: 4 * 2 ** 20, depthMax: 4, elementsMax: 5 * PART_NUMBER_MAX + 1 };

export async function completeMultipartUpload(call: ObjectCall): Promise<Answer> {
  const { objects, request, bucket, key } = call;
  const { headers } = request;
  const root = await readXmlPayload(call, { root: "CompleteMultipartUpload", limits: LIMITS, checksumOf: "object" });
  const listed = root === undefined ? [] : childrenOf(root, "Part");
  if (listed.length === 0 || listed.length > PART_NUMBER_MAX) throw new S3Error("MalformedXML");
  const expectedSize = readObjectSize(headers);
  const expectedChecksum = readExpectedChecksum(headers);
  const parts = listed.map(readPart);
  const { etag, checksum } = await objects.completeUpload({
    ...uploadOf(call),
    parts,
    conditions: readWriteConditions(headers),
    ...(expectedSize !== undefined && { expectedSize }),
    ...(expectedChecksum !== undefined && { expectedChecksum }),
  });
  const document = new XmlWriter()
    .open("CompleteMultipartUploadResult", { xmlns: S3_XML_NAMESPACE })
    .element("Location", locationOf(call))
    .element("Bucket", bucket)
    .element("Key", key)
    .element("ETag", quotedEtag(etag));
  writeChecksum(document, checksum, parts.length);
  return xmlAnswer(document);
}

function readPart(part: XmlElement): CompletedPart {
  const number = childText(part, "PartNumber")?.trim() ?? "";
  const etag = childText(part, "ETag");
  if (!/^\d{1,9}$/.test(number) || etag === undefined) throw new S3Error("MalformedXML");
  const partNumber = Number(number);
  if (partNumber < 1 || partNumber > PART_NUMBER_MAX) {
    const message = `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`;
    throw invalidArgument(message, "partNumber", number);
  }
  const checksum = readPartChecksum(part);
  return { partNumber, etag: bareEtag(etag), ...(checksum !== undefined && { checksum }) };
}

function readPartChecksum(part: XmlElement): CompletedPart["checksum"] {
  const [first, ...more] = CHECKSUM_NAMES.flatMap((algorithm) => {
    const value = childText(part, `Checksum${algorithm}`)?.trim();
    return value === undefined ? [] : [{ algorithm, value }];
  });
  if (more.length === 0) return first;
  throw new S3Error("InvalidRequest", {
    message: "Expecting a single checksum for a part. Multiple checksum Types are not allowed.",
  });
}

function readExpectedChecksum(
  headers: S3Headers,
): { algorithm: ChecksumAlgorithm; type?: ChecksumType; value: string } | undefined {
  const checksum = readChecksumHeader(headers);
  const type = readChecksumType(headers);
  if (checksum === undefined) return undefined;
  return type === undefined ? checksum : { ...checksum, type };
}

function readObjectSize(headers: S3Headers): number | undefined {
  const text = headerValue(headers, "x-amz-mp-object-size");
  if (text === undefined) return undefined;
  const size = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(size)) return size;
  throw invalidArgument("x-amz-mp-object-size must be a number of bytes", "x-amz-mp-object-size", text);
}

/** The object's URL, as its client reaches the server. */
function locationOf({ settings, request, bucket, key }: ObjectCall): string {
  const path = uriEncodePath(key);
  if (settings.publicUrl !== undefined) return `${settings.publicUrl}/${bucket}/${path}`;
  return request.addressing === "virtual"
    ? `http://${request.host}/${path}`
    : `http://${request.host}/${bucket}/${path}`;
}
