import { invalidArgument } from "./errors.ts";
import { queryValue, type S3Query } from "./request.ts";

export const PART_NUMBER_MAX = 10_000;

/** The part that a request means. @throws S3Error InvalidArgument */
export function readPartNumber(query: S3Query): number {
  const text = queryValue(query, "partNumber") ?? "";
  const partNumber = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (partNumber >= 1 && partNumber <= PART_NUMBER_MAX) return partNumber;
  const message = `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`;
  throw invalidArgument(message, "partNumber", text);
}
