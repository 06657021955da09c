/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
import { readAttributes } from "../attributes.ts";
import type { ObjectCall } from "../call.ts";
import { checksumAnswerHeaders } from "../checksum-headers.ts";
import { quotedEtag, readWriteConditions } from "../etags.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { readPayload } from "../payload.ts";

export async function putObject(call: ObjectCall): Promise<Answer> {
  const { objects, request, principal, bucket, key, signal } = call;
  const { etag, checksum } = await objects.putObject({
    principal,
    bucket,
    key,
    body: readPayload(call),
    attributes: readAttributes(request.headers),
    conditions: readWriteConditions(request.headers),
    signal,
  });
  return emptyAnswer(200, [["ETag", quotedEtag(etag)], ...checksumAnswerHeaders(checksum)]);
}
