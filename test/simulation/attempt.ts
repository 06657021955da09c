/** What an operation is before it is made, and what its answers say of the keys that it is about. */
import { hash } from "node:crypto";
import type { ObjectAttributes, ObjectError, ObjectInfo } from "../../src/objects/api.ts";
import type { Finding, OpenCall } from "./history.ts";
import type { Need } from "./linearizability.ts";
import { type Op, STABLE, STABLE_KEYS, VOLATILE, VOLATILE_KEYS } from "./plan.ts";

export interface Attempt {
  readonly op: Op["op"];
  readonly label: string;
  readonly run: (call: OpenCall) => Promise<readonly Finding[]>;
  /** What success says, beside what `run` found. */
  readonly findings: () => readonly Finding[];
  /** What may have happened when no answer came. */
  readonly maybe: readonly Finding[];
  /** What a failure says; `undefined` for one that there cannot be. */
  readonly failure: (error: ObjectError) => readonly Finding[] | undefined;
}

export interface KnownCondition {
  readonly header: { readonly ifMatch?: string; readonly ifNoneMatch?: "*" };
  readonly need: Need;
  readonly text: string;
}

export class ClientGoneError extends Error {}

/** Failures of any write; nothing was changed. */
const REFUSALS: ReadonlySet<string> = new Set([
  "not-enough-copies",
  "insufficient-storage",
  "conflict",
  "incomplete-body",
]);

export const PART_FAILURES: ReadonlySet<string> = new Set([
  ...REFUSALS,
  "no-such-upload",
  "no-such-key",
  "invalid-range",
  "precondition-failed",
]);

export function failedCondition(
  error: ObjectError,
  path: string,
  { header, need }: KnownCondition,
): Finding[] | undefined {
  if (REFUSALS.has(error.code)) return [];
  if (error.code === "no-such-key" && need.is === "etag") return absent(path);
  if (error.code !== "precondition-failed") return undefined;
  if (header.ifNoneMatch !== undefined) return [{ path, ways: [{ need: { is: "present" } }] }];
  return need.is === "etag" ? [{ path, ways: [{ need: { is: "another etag", etag: need.etag } }] }] : undefined;
}

export function absent(path: string): Finding[] {
  return [{ path, ways: [{ need: { is: "absent" } }] }];
}

/** That a bucket was there. Of the one that always is nothing needs to be said. */
export function present(path: string): Finding[] {
  return bucketFinding(split(path).bucket, { is: "present" });
}

export function bucketFinding(bucket: string, need: Need): Finding[] {
  return bucket === VOLATILE ? [{ path: bucket, ways: [{ need }] }] : [];
}

export function keysOf(bucket: string): readonly string[] {
  return bucket === STABLE ? STABLE_KEYS : VOLATILE_KEYS;
}

export function split(path: string): { bucket: string; key: string } {
  const at = path.indexOf("/");
  return { bucket: path.slice(0, at), key: path.slice(at + 1) };
}

export function named(version: string): ObjectAttributes {
  return { headers: [], metadata: [["name", version]], storageClass: "STANDARD" };
}

export function nameIn(object: ObjectInfo): string {
  return object.metadata[0]?.[1] ?? "nameless";
}

export function md5(bytes: Uint8Array): string {
  return hash("md5", bytes, "hex");
}
