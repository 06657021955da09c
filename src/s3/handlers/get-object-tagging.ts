/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html */
import type { ObjectCall } from "../call.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { queryValue } from "../request.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";

/**
 * No object has tags yet, as there is no way to give it any. `aws s3 cp` asks for them when it copies a large object,
 * and fails when it is told that they are not implemented.
 */
export async function getObjectTagging({ objects, request, bucket, key }: ObjectCall): Promise<Answer> {
  const versionId = queryValue(request.query, "versionId");
  await objects.headObject({ bucket, key, conditions: {}, ...(versionId !== undefined && { versionId }) });
  return xmlAnswer(new XmlWriter().open("Tagging", { xmlns: S3_XML_NAMESPACE }).element("TagSet", ""));
}
