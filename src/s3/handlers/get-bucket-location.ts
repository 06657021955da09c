/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html */
import type { BucketCall } from "../call.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";
import { bucketRegion } from "./bucket-region.ts";

/** The region that S3 leaves out. */
const UNNAMED_REGION = "us-east-1";

export async function getBucketLocation({ objects, bucket, settings }: BucketCall): Promise<Answer> {
  const region = bucketRegion(await objects.headBucket(bucket), settings);
  const document = new XmlWriter().open("LocationConstraint", { xmlns: S3_XML_NAMESPACE });
  if (region !== UNNAMED_REGION) document.text(region);
  return xmlAnswer(document);
}
