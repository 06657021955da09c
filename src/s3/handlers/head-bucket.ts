/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
import type { BucketCall } from "../call.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { bucketRegion } from "./bucket-region.ts";

export async function headBucket({ objects, bucket, settings }: BucketCall): Promise<Answer> {
  const found = await objects.headBucket(bucket);
  return emptyAnswer(200, [
    ["x-amz-bucket-region", bucketRegion(found, settings)],
    ["x-amz-access-point-alias", "false"],
  ]);
}
