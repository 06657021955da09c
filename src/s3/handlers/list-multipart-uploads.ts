/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
import type { BucketCall } from "../call.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { PAGE_MAX, readCount, readEncoding } from "../listing.ts";
import { queryValue } from "../request.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeOwner } from "./owner.ts";

export async function listMultipartUploads({ objects, request, bucket }: BucketCall): Promise<Answer> {
  const { query } = request;
  const { type, encode } = readEncoding(query);
  const prefix = queryValue(query, "prefix") ?? "";
  const delimiter = queryValue(query, "delimiter") ?? "";
  const keyMarker = queryValue(query, "key-marker") ?? "";
  // Means nothing without a key, and S3 passes it over.
  const uploadIdMarker = keyMarker === "" ? "" : (queryValue(query, "upload-id-marker") ?? "");
  const maxUploads = readCount(query, "max-uploads", { min: 1, max: PAGE_MAX, or: PAGE_MAX });
  const page = { bucket, prefix, delimiter, keyMarker, uploadIdMarker, maxUploads };
  const { uploads, commonPrefixes, next } = await objects.listUploads(page);
  const document = new XmlWriter()
    .open("ListMultipartUploadsResult", { xmlns: S3_XML_NAMESPACE })
    .element("Bucket", bucket)
    .element("KeyMarker", encode(keyMarker))
    .element("UploadIdMarker", uploadIdMarker);
  if (next !== undefined) {
    document.element("NextKeyMarker", encode(next.keyMarker)).element("NextUploadIdMarker", next.uploadIdMarker);
  }
  if (delimiter !== "") document.element("Delimiter", encode(delimiter));
  document
    .element("Prefix", encode(prefix))
    .element("EncodingType", type)
    .element("MaxUploads", maxUploads)
    .element("IsTruncated", next !== undefined);
  for (const upload of uploads) {
    document.open("Upload").element("Key", encode(upload.key)).element("UploadId", upload.uploadId);
    writeOwner(document, upload.owner, "Initiator");
    writeOwner(document, upload.owner);
    document
      .element("StorageClass", upload.storageClass)
      .element("Initiated", formatIsoDate(upload.initiatedAtMs))
      .element("ChecksumAlgorithm", upload.checksum?.algorithm)
      .element("ChecksumType", upload.checksum?.type)
      .close();
  }
  for (const common of commonPrefixes) {
    document.open("CommonPrefixes").element("Prefix", encode(common)).close();
  }
  return xmlAnswer(document);
}
