/**
 * Reads that are sent on to a storage node (307), in buckets that want it.
 *
 * Only requests that any HTTP client can make again elsewhere: those of presigned URLs. SDKs sign their headers for one
 * host and follow no redirect. And only such whose answer from the node is the gateway's: the whole object, with no
 * condition, which the node would decide by its own dates, and no override, which was signed for the gateway.
 */
import type { ObjectCall } from "./call.ts";
import type { S3Headers } from "./headers.ts";
import { type Answer, emptyAnswer } from "./http/answer.ts";
import { queryValue, type S3Query } from "./request.ts";

const CONDITIONS = ["range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/** The redirect that answers a GET; `undefined` where it is served here. @throws ObjectError */
export async function redirectRead(call: ObjectCall): Promise<Answer | undefined> {
  const { redirects, request, bucket, key } = call;
  if (redirects === undefined || !call.byUrl || !isPlain(request.headers, request.query)) return undefined;
  const versionId = queryValue(request.query, "versionId");
  const url = await redirects.redirect({ bucket, key, ...(versionId !== undefined && { versionId }) });
  if (url === undefined) return undefined;
  // Nobody is to keep the address longer than it is good for.
  return emptyAnswer(307, [
    ["Location", url],
    ["Cache-Control", "no-store"],
  ]);
}

/** Whether a request asks for the whole object and nothing besides, and can be repeated at a node as it is. */
function isPlain(headers: S3Headers, query: S3Query): boolean {
  if (CONDITIONS.some((name) => headers.has(name))) return false;
  // The client would send them on, and a node refuses such headers where they are not signed.
  if ([...headers.keys()].some((name) => name.startsWith("x-amz-"))) return false;
  return ![...query.keys()].some((name) => name === "partNumber" || name.startsWith("response-"));
}
