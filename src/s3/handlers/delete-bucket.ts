/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html */
import type { BucketCall } from "../call.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";

export async function deleteBucket({ objects, bucket }: BucketCall): Promise<Answer> {
  await objects.deleteBucket(bucket);
  return emptyAnswer(204);
}
