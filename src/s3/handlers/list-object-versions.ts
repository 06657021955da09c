/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html */
import type { BucketCall } from "../call.ts";
import { invalidArgument } from "../errors.ts";
import { quotedEtag } from "../etags.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { PAGE_MAX, readCount, readEncoding } from "../listing.ts";
import { queryValue } from "../request.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeOwner } from "./owner.ts";

/** The id of the one version that an object has in a bucket without versioning. */
const NULL_VERSION = "null";

/** Versioning is not there yet: every object is listed as its one version. */
export async function listObjectVersions({ objects, request, bucket }: BucketCall): Promise<Answer> {
  const { query } = request;
  const { type, encode } = readEncoding(query);
  const prefix = queryValue(query, "prefix") ?? "";
  const delimiter = queryValue(query, "delimiter") ?? "";
  const keyMarker = queryValue(query, "key-marker") ?? "";
  const versionIdMarker = queryValue(query, "version-id-marker") ?? "";
  const maxKeys = readCount(query, "max-keys", { min: 0, max: PAGE_MAX, or: PAGE_MAX });
  if (versionIdMarker !== "" && keyMarker === "") {
    const message = "A version-id marker cannot be specified without a key marker.";
    throw invalidArgument(message, "version-id-marker", versionIdMarker);
  }
  const result = await objects.listObjects({ bucket, prefix, delimiter, maxKeys, after: keyMarker });
  const { next } = result;
  const document = new XmlWriter()
    .open("ListVersionsResult", { xmlns: S3_XML_NAMESPACE })
    .element("Name", bucket)
    .element("Prefix", encode(prefix))
    .element("KeyMarker", encode(keyMarker))
    .element("VersionIdMarker", versionIdMarker);
  if (next !== undefined) {
    document.element("NextKeyMarker", encode(next));
    if (!result.commonPrefixes.includes(next)) document.element("NextVersionIdMarker", NULL_VERSION);
  }
  if (delimiter !== "") document.element("Delimiter", encode(delimiter));
  document
    .element("MaxKeys", maxKeys)
    .element("EncodingType", type)
    .element("IsTruncated", next !== undefined);
  for (const object of result.objects) {
    document
      .open("Version")
      .element("Key", encode(object.key))
      .element("VersionId", NULL_VERSION)
      .element("IsLatest", true)
      .element("LastModified", formatIsoDate(object.modifiedAtMs))
      .element("ETag", quotedEtag(object.etag))
      .element("ChecksumAlgorithm", object.checksum?.algorithm)
      .element("ChecksumType", object.checksum?.type)
      .element("Size", object.size);
    writeOwner(document, object.owner);
    document.element("StorageClass", object.storageClass).close();
  }
  for (const common of result.commonPrefixes) {
    document.open("CommonPrefixes").element("Prefix", encode(common)).close();
  }
  return xmlAnswer(document);
}
