/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
import type { ChecksumAlgorithm, ChecksumType, HeaderPairs } from "../../objects/api.ts";
import { readAttributes } from "../attributes.ts";
import type { ObjectCall } from "../call.ts";
import { readAlgorithm, readChecksumType } from "../checksum-headers.ts";
import { S3Error } from "../errors.ts";
import type { S3Headers } from "../headers.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";

export async function createMultipartUpload({ objects, request, principal, bucket, key }: ObjectCall): Promise<Answer> {
  const { headers } = request;
  const checksum = readUploadChecksum(headers);
  const { uploadId } = await objects.createUpload({
    principal,
    bucket,
    key,
    attributes: readAttributes(headers),
    ...(checksum !== undefined && { checksum }),
  });
  const answerHeaders: HeaderPairs =
    checksum === undefined
      ? []
      : [
          ["x-amz-checksum-algorithm", checksum.algorithm],
          ["x-amz-checksum-type", checksum.type],
        ];
  const document = new XmlWriter()
    .open("InitiateMultipartUploadResult", { xmlns: S3_XML_NAMESPACE })
    .element("Bucket", bucket)
    .element("Key", key)
    .element("UploadId", uploadId);
  return xmlAnswer(document, answerHeaders);
}

/** The checksum that an upload is to have; its type, where none is named, is the one that S3 gives the algorithm. */
function readUploadChecksum(headers: S3Headers): { algorithm: ChecksumAlgorithm; type: ChecksumType } | undefined {
  const algorithm = readAlgorithm(headers, "x-amz-checksum-algorithm");
  const named = readChecksumType(headers);
  if (algorithm === undefined) {
    if (named === undefined) return undefined;
    throw new S3Error("InvalidRequest", {
      message: "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
    });
  }
  const type = named ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
  // The checksum of a whole can be made from those of its parts for CRCs only; that of the longest is made in no other way.
  const possible = type === "COMPOSITE" ? algorithm !== "CRC64NVME" : algorithm.startsWith("CRC");
  if (possible) return { algorithm, type };
  throw new S3Error("InvalidRequest", {
    message: `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  });
}
