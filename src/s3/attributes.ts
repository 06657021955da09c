import type { ObjectAttributes } from "../objects/api.ts";
import type { S3Headers } from "./headers.ts";
import { readContentHeaders, readUserMetadata } from "./metadata.ts";

/** The one storage class; screen-headers.ts refuses others. */
export const STANDARD = "STANDARD";

/** S3's own, where a client names none. */
const CONTENT_TYPE = "binary/octet-stream";

/** What a request says of the object that it makes. @throws S3Error MetadataTooLarge */
export function readAttributes(headers: S3Headers): ObjectAttributes {
  const kept = readContentHeaders(headers);
  const typed = kept.some(([name]) => name === "content-type");
  return {
    headers: typed ? kept : [...kept, ["content-type", CONTENT_TYPE]],
    metadata: readUserMetadata(headers),
    storageClass: STANDARD,
  };
}
