/**
 * Preconditions, RFC 9110 §13.2.2 as S3 applies it: If-Match overrides If-Unmodified-Since, If-None-Match overrides
 * If-Modified-Since.
 */
import type { Version } from "../catalog/records/version.ts";
import { ObjectError, type ReadConditions, type WriteConditions } from "./api.ts";

/** @throws ObjectError precondition-failed or not-modified */
export function checkReadConditions(conditions: ReadConditions, version: Version): void {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  // HTTP dates have whole seconds.
  const modifiedMs = Math.floor(version.createdAtMs / 1000) * 1000;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, version)) throw preconditionFailed("If-Match");
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedMs > ifUnmodifiedSinceMs) {
    throw preconditionFailed("If-Unmodified-Since");
  }
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, version)) throw notModified(version);
  } else if (ifModifiedSinceMs !== undefined && modifiedMs <= ifModifiedSinceMs) {
    throw notModified(version);
  }
}

/** The same for the source of a copy, where "not modified" is a failed precondition too. */
export function checkCopyConditions(conditions: ReadConditions, source: Version): void {
  try {
    checkReadConditions(conditions, source);
  } catch (error) {
    if (error instanceof ObjectError && error.code === "not-modified") {
      throw preconditionFailed("x-amz-copy-source-If-None-Match");
    }
    throw error;
  }
}

/**
 * To be decided on what the commit replaces.
 * @throws ObjectError precondition-failed; no-such-key for If-Match on nothing
 */
export function checkWriteConditions(conditions: WriteConditions, current: Version | undefined): void {
  const exists = current !== undefined && !current.deleteMarker;
  if (conditions.ifNoneMatch === "*" && exists) throw preconditionFailed("If-None-Match");
  if (conditions.ifMatch === undefined) return;
  if (!exists) throw new ObjectError("no-such-key", "The specified key does not exist.");
  if (!matches([conditions.ifMatch], current)) throw preconditionFailed("If-Match");
}

function matches(etags: readonly string[], version: Version): boolean {
  return etags.some((etag) => etag === "*" || etag === version.etag);
}

function preconditionFailed(condition: string): ObjectError {
  return new ObjectError("precondition-failed", "At least one of the pre-conditions you specified did not hold", {
    condition,
  });
}

function notModified(version: Version): ObjectError {
  return new ObjectError("not-modified", "Not Modified", { etag: version.etag, modifiedAtMs: version.createdAtMs });
}
