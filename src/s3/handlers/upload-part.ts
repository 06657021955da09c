/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
 */
import type { HeaderPairs } from "../../objects/api.ts";
import type { ObjectCall } from "../call.ts";
import { checksumHeaderName } from "../checksum-headers.ts";
import { readCopySource } from "../copy-source.ts";
import { quotedEtag } from "../etags.ts";
import { headerValue } from "../headers.ts";
import { type Answer, emptyAnswer } from "../http/answer.ts";
import { readPartNumber } from "../part-number.ts";
import { readPayload } from "../payload.ts";
import { parseCopyRange } from "../ranges.ts";
import { copyAnswer } from "./copy-object.ts";
import { uploadOf } from "./upload-of.ts";

export async function uploadPart(call: ObjectCall): Promise<Answer> {
  const partNumber = readPartNumber(call.request.query);
  const body = readPayload(call);
  const { etag, checksum } = await call.objects.uploadPart({
    ...uploadOf(call),
    partNumber,
    body,
    signal: call.signal,
  });
  const headers: HeaderPairs = [["ETag", quotedEtag(etag)]];
  // That of a part has no type.
  if (checksum === undefined) return emptyAnswer(200, headers);
  return emptyAnswer(200, [...headers, [checksumHeaderName(checksum.algorithm), checksum.value]]);
}

export async function uploadPartCopy(call: ObjectCall): Promise<Answer> {
  const { objects, request, nowMs, signal } = call;
  const partNumber = readPartNumber(request.query);
  const range = parseCopyRange(headerValue(request.headers, "x-amz-copy-source-range"));
  const result = await objects.uploadPartCopy({
    ...uploadOf(call),
    partNumber,
    source: readCopySource(request.headers, nowMs),
    signal,
    ...(range !== undefined && { range }),
  });
  return copyAnswer("CopyPartResult", result);
}
