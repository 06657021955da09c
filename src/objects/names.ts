import { ObjectError } from "./api.ts";

/** Longest object key, in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1024;

/** Longest bucket name, in characters, which are bytes: other characters than ASCII's are not allowed. */
export const BUCKET_NAME_MAX = 63;

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const IP_ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;
const RESERVED = /^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name) && !name.includes("..") && !IP_ADDRESS.test(name) && !RESERVED.test(name);
}

/** @throws ObjectError key-too-long */
export function requireKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) {
    throw new ObjectError("key-too-long", "Your key is too long", { size: bytes, maxSizeAllowed: KEY_BYTES_MAX });
  }
}
