/** S3's rules in their plainest form, for the object service in memory. */
import { ObjectError, type ObjectInfo, type ReadConditions, type WriteConditions } from "../../src/objects/api.ts";

/** @throws ObjectError precondition-failed, not-modified */
export function checkRead(conditions: ReadConditions, { etag, modifiedAtMs }: ObjectInfo): void {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const matches = (etags: readonly string[]): boolean => etags.includes("*") || etags.includes(etag);
  const modifiedMs = Math.floor(modifiedAtMs / 1000) * 1000;
  if (ifMatch !== undefined ? !matches(ifMatch) : modifiedMs > (ifUnmodifiedSinceMs ?? Number.POSITIVE_INFINITY)) {
    throw new ObjectError("precondition-failed", "no match", { condition: "If-Match" });
  }
  if (ifNoneMatch !== undefined ? matches(ifNoneMatch) : modifiedMs <= (ifModifiedSinceMs ?? -1)) {
    throw new ObjectError("not-modified", "not modified", { etag, modifiedAtMs });
  }
}

/** @throws ObjectError precondition-failed, no-such-key */
export function checkWrite({ ifMatch, ifNoneMatch }: WriteConditions, current: ObjectInfo | undefined): void {
  if (ifNoneMatch === "*" && current !== undefined) {
    throw new ObjectError("precondition-failed", "exists", { condition: "If-None-Match" });
  }
  if (ifMatch === undefined) return;
  if (current === undefined) throw new ObjectError("no-such-key", "no such key");
  if (ifMatch !== "*" && ifMatch !== current.etag) {
    throw new ObjectError("precondition-failed", "another ETag", { condition: "If-Match" });
  }
}

/** Keys and common prefixes in order of their UTF-8. */
export function rollUp(
  keys: readonly string[],
  prefix: string,
  delimiter: string,
): { readonly name: string; readonly common: boolean }[] {
  const names = new Map<string, boolean>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    if (at < 0) names.set(key, false);
    else names.set(key.slice(0, at + delimiter.length), true);
  }
  return [...names]
    .map(([name, common]) => ({ name, common }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}
