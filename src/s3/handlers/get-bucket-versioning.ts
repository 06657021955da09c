/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html */
import type { BucketCall } from "../call.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";

/** That of a bucket whose versioning was never switched on, which there is no way to do yet. */
export async function getBucketVersioning({ objects, bucket }: BucketCall): Promise<Answer> {
  await objects.headBucket(bucket);
  return xmlAnswer(new XmlWriter().open("VersioningConfiguration", { xmlns: S3_XML_NAMESPACE }));
}
