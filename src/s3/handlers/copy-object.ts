/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
import type { CopyResult } from "../../objects/api.ts";
import { readAttributes } from "../attributes.ts";
import type { ObjectCall } from "../call.ts";
import { readAlgorithm } from "../checksum-headers.ts";
import { readCopySource } from "../copy-source.ts";
import { invalidArgument } from "../errors.ts";
import { quotedEtag, readWriteConditions } from "../etags.ts";
import { headerValue, type S3Headers } from "../headers.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeChecksum } from "./checksum-elements.ts";

export async function copyObject({
  objects,
  request,
  principal,
  bucket,
  key,
  nowMs,
  signal,
}: ObjectCall): Promise<Answer> {
  const { headers } = request;
  const checksumAlgorithm = readAlgorithm(headers, "x-amz-checksum-algorithm");
  const result = await objects.copyObject({
    principal,
    bucket,
    key,
    source: readCopySource(headers, nowMs),
    conditions: readWriteConditions(headers),
    signal,
    ...(replacesMetadata(headers) && { attributes: readAttributes(headers) }),
    ...(checksumAlgorithm !== undefined && { checksumAlgorithm }),
  });
  return copyAnswer("CopyObjectResult", result);
}

/** The answer to a copy, be it of an object or of a part. */
export function copyAnswer(root: "CopyObjectResult" | "CopyPartResult", result: CopyResult): Answer {
  const document = new XmlWriter()
    .open(root, { xmlns: S3_XML_NAMESPACE })
    .element("LastModified", formatIsoDate(result.modifiedAtMs))
    .element("ETag", quotedEtag(result.etag));
  writeChecksum(document, result.checksum);
  return xmlAnswer(document);
}

function replacesMetadata(headers: S3Headers): boolean {
  const directive = headerValue(headers, "x-amz-metadata-directive") ?? "COPY";
  if (directive === "COPY" || directive === "REPLACE") return directive === "REPLACE";
  throw invalidArgument("Unknown metadata directive.", "x-amz-metadata-directive", directive);
}
