/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
import type { ObjectCall } from "../call.ts";
import { bareEtag } from "../etags.ts";
import { headerValue } from "../headers.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { queryValue } from "../request.ts";

export async function deleteObject({ objects, request, bucket, key }: ObjectCall): Promise<Answer> {
  const versionId = queryValue(request.query, "versionId");
  const ifMatch = headerValue(request.headers, "if-match");
  await objects.deleteObject({
    bucket,
    key,
    ...(versionId !== undefined && { versionId }),
    ...(ifMatch !== undefined && { ifMatch: bareEtag(ifMatch) }),
  });
  return emptyAnswer(204);
}
