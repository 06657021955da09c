/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
import type { ObjectCall } from "../call.ts";
import { quotedEtag } from "../etags.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { PAGE_MAX, readCount } from "../listing.ts";
import { PART_NUMBER_MAX } from "../part-number.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeOwner } from "./owner.ts";
import { uploadOf } from "./upload-of.ts";

export async function listParts(call: ObjectCall): Promise<Answer> {
  const { objects, request, bucket, key } = call;
  const { query } = request;
  const maxParts = readCount(query, "max-parts", { min: 1, max: PAGE_MAX, or: PAGE_MAX });
  const after = readCount(query, "part-number-marker", { min: 0, max: PART_NUMBER_MAX, or: 0 });
  const { upload, parts, next } = await objects.listParts({ ...uploadOf(call), after, maxParts });
  const algorithm = upload.checksum?.algorithm;
  const document = new XmlWriter()
    .open("ListPartsResult", { xmlns: S3_XML_NAMESPACE })
    .element("Bucket", bucket)
    .element("Key", key)
    .element("UploadId", upload.uploadId);
  writeOwner(document, upload.owner, "Initiator");
  writeOwner(document, upload.owner);
  document
    .element("StorageClass", upload.storageClass)
    .element("PartNumberMarker", after)
    .element("NextPartNumberMarker", next)
    .element("MaxParts", maxParts)
    .element("IsTruncated", next !== undefined)
    .element("ChecksumAlgorithm", algorithm)
    .element("ChecksumType", upload.checksum?.type);
  for (const part of parts) {
    document
      .open("Part")
      .element("PartNumber", part.partNumber)
      .element("LastModified", formatIsoDate(part.modifiedAtMs))
      .element("ETag", quotedEtag(part.etag))
      .element("Size", part.size);
    if (algorithm !== undefined) document.element(`Checksum${algorithm}`, part.checksum);
    document.close();
  }
  return xmlAnswer(document);
}
