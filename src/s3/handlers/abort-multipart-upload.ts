/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
import type { ObjectCall } from "../call.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { uploadOf } from "./upload-of.ts";

export async function abortMultipartUpload(call: ObjectCall): Promise<Answer> {
  await call.objects.abortUpload(uploadOf(call));
  return emptyAnswer(204);
}
