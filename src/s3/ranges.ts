/**
 * Byte ranges as requests state them. S3 answers one range; several, and whatever is no range, get the whole object.
 * RFC 9110, 14.1 and 14.2; https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
import type { ByteRange, RangeRequest } from "../objects/api.ts";
import { invalidArgument } from "./errors.ts";

/**
 * What a `Range` header asks for; whether an object has such bytes is not known here.
 * @returns `undefined` where the whole object is asked for, or nothing that S3 understands
 */
export function parseRange(header: string | undefined): RangeRequest | undefined {
  const parts = header === undefined ? undefined : RANGE.exec(header)?.groups;
  const first = offset(parts?.["first"]);
  const last = offset(parts?.["last"]);
  if (first === undefined) return last === undefined ? undefined : { suffix: last };
  if (last === undefined) return { first };
  return last < first ? undefined : { first, last };
}

/**
 * The range of `x-amz-copy-source-range`, as a half-open one.
 * @throws S3Error InvalidArgument where it does not name a first and a last byte
 */
export function parseCopyRange(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined;
  const parts = COPY_RANGE.exec(header)?.groups;
  const first = offset(parts?.["first"]);
  const last = offset(parts?.["last"]);
  if (first !== undefined && last !== undefined && first <= last) return { start: first, end: last + 1 };
  throw invalidArgument(
    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
    "x-amz-copy-source-range",
    header,
  );
}

const RANGE = /^bytes=[ \t]*(?<first>\d*)-(?<last>\d*)[ \t]*$/i;
const COPY_RANGE = /^bytes=(?<first>\d+)-(?<last>\d+)$/;

/** No object reaches as far as numbers are exact, so larger ones mean the same as the largest. */
function offset(digits: string | undefined): number | undefined {
  if (digits === undefined || digits === "") return undefined;
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER - 1);
}
