/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html */
import type { BucketInfo, ObjectService } from "../../objects/api.ts";
import type { Call } from "../call.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { formatIsoDate } from "../http-dates.ts";
import { decodeToken, encodeToken, readCount } from "../listing.ts";
import { queryValue } from "../request.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { bucketRegion } from "./bucket-region.ts";
import { writeOwner } from "./owner.ts";

export const BUCKETS_PAGE_MAX = 10_000;

/** Asked of the object service at a time. */
const READ_MAX = 1_000;

export async function listBuckets({ objects, request, settings, principal }: Call): Promise<Answer> {
  const { query } = request;
  const prefix = queryValue(query, "prefix");
  const maxBuckets = readCount(query, "max-buckets", { min: 1, max: BUCKETS_PAGE_MAX, or: BUCKETS_PAGE_MAX });
  const after = decodeToken(queryValue(query, "continuation-token"));
  const region = queryValue(query, "bucket-region");
  const elsewhere = region !== undefined && region !== "" && region !== settings.region;
  const page = elsewhere ? { buckets: [] } : await readBuckets(objects, prefix ?? "", after ?? "", maxBuckets);
  const document = new XmlWriter().open("ListAllMyBucketsResult", { xmlns: S3_XML_NAMESPACE });
  writeOwner(document, principal);
  document.open("Buckets");
  for (const bucket of page.buckets) {
    document
      .open("Bucket")
      .element("Name", bucket.name)
      .element("CreationDate", formatIsoDate(bucket.createdAtMs))
      .element("BucketRegion", bucketRegion(bucket, settings))
      .close();
  }
  document.close().element("Prefix", prefix);
  if (page.next !== undefined) document.element("ContinuationToken", encodeToken(page.next));
  return xmlAnswer(document);
}

async function readBuckets(
  objects: ObjectService,
  prefix: string,
  after: string,
  maxBuckets: number,
): ReturnType<ObjectService["listBuckets"]> {
  const buckets: BucketInfo[] = [];
  let next: string | undefined = after;
  while (next !== undefined && buckets.length < maxBuckets) {
    const left = Math.min(READ_MAX, maxBuckets - buckets.length);
    const page = await objects.listBuckets({ prefix, after: next, maxBuckets: left });
    buckets.push(...page.buckets);
    next = page.next;
  }
  return next === undefined ? { buckets } : { buckets, next };
}
