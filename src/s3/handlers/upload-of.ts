import type { ObjectCall } from "../call.ts";
import { queryValue } from "../request.ts";

/** The upload that a call is about. */
export function uploadOf({ bucket, key, request }: ObjectCall): { bucket: string; key: string; uploadId: string } {
  return { bucket, key, uploadId: queryValue(request.query, "uploadId") ?? "" };
}
