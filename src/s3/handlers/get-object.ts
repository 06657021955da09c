/**
 * GetObject and HeadObject, which differ in the body only.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
import type { GetRequest, HeaderPairs, HeadResult } from "../../objects/api.ts";
import { STANDARD } from "../attributes.ts";
import type { ObjectCall } from "../call.ts";
import { checksumAnswerHeaders } from "../checksum-headers.ts";
import { S3Error } from "../errors.ts";
import { quotedEtag, readConditions } from "../etags.ts";
import { headerValue } from "../headers.ts";
import type { Answer } from "../http/answer.ts";
import { formatHttpDate } from "../http-dates.ts";
import { overrideHeaders, readResponseOverrides, userMetadataHeaders } from "../metadata.ts";
import { readPartNumber } from "../part-number.ts";
import { parseRange } from "../ranges.ts";
import { redirectRead } from "../read-redirect.ts";
import { queryValue } from "../request.ts";

export async function getObject(call: ObjectCall): Promise<Answer> {
  const overrides = readResponseOverrides(call.request.query, true);
  const redirect = await redirectRead(call);
  if (redirect !== undefined) return redirect;
  const got = await call.objects.getObject(getRequest(call), call.signal);
  return objectAnswer(call, got, overrides, got.body);
}

export async function headObject(call: ObjectCall): Promise<Answer> {
  const overrides = readResponseOverrides(call.request.query, true);
  const found = await call.objects.headObject(getRequest(call));
  return objectAnswer(call, found, overrides, NOTHING);
}

function getRequest({ request, bucket, key, nowMs }: ObjectCall): GetRequest {
  const { headers, query } = request;
  const versionId = queryValue(query, "versionId");
  const partNumber = query.has("partNumber") ? readPartNumber(query) : undefined;
  const rangeHeader = headerValue(headers, "range");
  if (partNumber !== undefined && rangeHeader !== undefined) {
    throw new S3Error("InvalidRequest", {
      message: "Cannot specify both Range header and partNumber query parameter",
    });
  }
  // If-Range makes the range depend on what the client has of the object. The whole is always right.
  const range = headers.has("if-range") ? undefined : parseRange(rangeHeader);
  return {
    bucket,
    key,
    conditions: readConditions(headers, nowMs),
    ...(versionId !== undefined && { versionId }),
    ...(range !== undefined && { range }),
    ...(partNumber !== undefined && { partNumber }),
  };
}

function objectAnswer(
  { request }: ObjectCall,
  { object, range }: HeadResult,
  overrides: HeaderPairs,
  stream: AsyncIterable<Uint8Array>,
): Answer {
  // A part of an empty object has no bytes to name in Content-Range.
  const partial = range !== undefined && range.end > range.start ? range : undefined;
  const length = partial === undefined ? object.size : partial.end - partial.start;
  const withChecksum = partial === undefined && headerValue(request.headers, "x-amz-checksum-mode") === "ENABLED";
  const headers: [string, string][] = [
    ["Accept-Ranges", "bytes"],
    ["Last-Modified", formatHttpDate(object.modifiedAtMs)],
    ["ETag", quotedEtag(object.etag)],
  ];
  for (const [name, value] of overrideHeaders(object.headers, overrides)) headers.push([name, value]);
  for (const [name, value] of userMetadataHeaders(object.metadata)) headers.push([name, value]);
  if (partial !== undefined) {
    headers.push(["Content-Range", `bytes ${partial.start}-${partial.end - 1}/${object.size}`]);
  }
  if (object.storageClass !== STANDARD) headers.push(["x-amz-storage-class", object.storageClass]);
  if (request.query.has("partNumber") && object.partCount !== undefined) {
    headers.push(["x-amz-mp-parts-count", String(object.partCount)]);
  }
  if (withChecksum) {
    for (const [name, value] of checksumAnswerHeaders(object.checksum, object.partCount)) headers.push([name, value]);
  }
  return { status: partial === undefined ? 200 : 206, headers, body: { length, stream } };
}

const NOTHING: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};
