/**
 * ListObjectsV2 and its predecessor, which differ in how they are gone on with.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
 */
import type { ListResult, ObjectInfo } from "../../objects/api.ts";
import type { BucketCall } from "../call.ts";
import { quotedEtag } from "../etags.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { decodeToken, encodeToken, type ListingEncoding, PAGE_MAX, readCount, readEncoding } from "../listing.ts";
import { queryValue, type S3Query } from "../request.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { writeOwner } from "./owner.ts";

export async function listObjectsV2({ objects, request, bucket }: BucketCall): Promise<Answer> {
  const { query } = request;
  const page = readPageRequest(query);
  const token = queryValue(query, "continuation-token");
  const startAfter = queryValue(query, "start-after");
  const after = decodeToken(token) ?? startAfter ?? "";
  const { prefix, delimiter, maxKeys, encoding } = page;
  const result = await objects.listObjects({ bucket, prefix, delimiter, maxKeys, after });
  const document = beginListing(bucket, page);
  document.element("KeyCount", result.objects.length + result.commonPrefixes.length);
  document.element("ContinuationToken", token);
  if (result.next !== undefined) document.element("NextContinuationToken", encodeToken(result.next));
  if (startAfter !== undefined) document.element("StartAfter", encoding.encode(startAfter));
  const withOwner = queryValue(query, "fetch-owner") === "true";
  return finishListing(document, result, encoding, withOwner);
}

export async function listObjects({ objects, request, bucket }: BucketCall): Promise<Answer> {
  const { query } = request;
  const page = readPageRequest(query);
  const marker = queryValue(query, "marker") ?? "";
  const { prefix, delimiter, maxKeys, encoding } = page;
  const result = await objects.listObjects({ bucket, prefix, delimiter, maxKeys, after: marker });
  const document = beginListing(bucket, page).element("Marker", encoding.encode(marker));
  // Without a delimiter clients go on after the last key that they were given.
  if (result.next !== undefined && delimiter !== "") document.element("NextMarker", encoding.encode(result.next));
  return finishListing(document, result, encoding, true);
}

interface PageRequest {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  readonly encoding: ListingEncoding;
}

function readPageRequest(query: S3Query): PageRequest {
  return {
    prefix: queryValue(query, "prefix") ?? "",
    delimiter: queryValue(query, "delimiter") ?? "",
    maxKeys: readCount(query, "max-keys", { min: 0, max: PAGE_MAX, or: PAGE_MAX }),
    encoding: readEncoding(query),
  };
}

function beginListing(bucket: string, { prefix, delimiter, maxKeys, encoding }: PageRequest): XmlWriter {
  const document = new XmlWriter()
    .open("ListBucketResult", { xmlns: S3_XML_NAMESPACE })
    .element("Name", bucket)
    .element("Prefix", encoding.encode(prefix));
  if (delimiter !== "") document.element("Delimiter", encoding.encode(delimiter));
  return document.element("MaxKeys", maxKeys).element("EncodingType", encoding.type);
}

function finishListing(document: XmlWriter, result: ListResult, encoding: ListingEncoding, withOwner: boolean): Answer {
  document.element("IsTruncated", result.next !== undefined);
  for (const object of result.objects) writeObject(document, object, encoding, withOwner);
  for (const prefix of result.commonPrefixes) {
    document.open("CommonPrefixes").element("Prefix", encoding.encode(prefix)).close();
  }
  return xmlAnswer(document);
}

function writeObject(document: XmlWriter, object: ObjectInfo, encoding: ListingEncoding, withOwner: boolean): void {
  document
    .open("Contents")
    .element("Key", encoding.encode(object.key))
    .element("LastModified", formatIsoDate(object.modifiedAtMs))
    .element("ETag", quotedEtag(object.etag))
    .element("ChecksumAlgorithm", object.checksum?.algorithm)
    .element("ChecksumType", object.checksum?.type)
    .element("Size", object.size);
  if (withOwner) writeOwner(document, object.owner);
  document.element("StorageClass", object.storageClass).close();
}
