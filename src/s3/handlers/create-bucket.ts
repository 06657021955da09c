/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
import type { BucketCall } from "../call.ts";
import { S3Error } from "../errors.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { readXmlPayload } from "../xml-payload.ts";

const LIMITS = { bytesMax: 64 * 1024, depthMax: 8, elementsMax: 256 };

/**
 * Buckets are in the server's own region, whether it is named or not. S3 wants it named everywhere but in us-east-1,
 * and unnamed there; few clients of other servers do so.
 */
export async function createBucket(call: BucketCall): Promise<Answer> {
  const { objects, principal, bucket, settings } = call;
  const configuration = await readXmlPayload(call, { root: "CreateBucketConfiguration", limits: LIMITS });
  for (const { name, text } of configuration?.children ?? []) {
    if (name !== "LocationConstraint") {
      throw new S3Error("NotImplemented", { message: `CreateBucketConfiguration with ${name} is not implemented.` });
    }
    if (text !== "" && text !== settings.region) {
      throw new S3Error("IllegalLocationConstraintException", {
        message: `The ${text} location constraint is incompatible for the region specific endpoint this request was sent to.`,
      });
    }
  }
  await objects.createBucket({ principal, bucket, location: "" });
  return emptyAnswer(200, [["Location", `/${bucket}`]]);
}
