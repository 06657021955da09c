/**
 * The one way in which a key's current version changes: read what is there, decide, commit under checks, and start
 * over when another commit came first.
 */
import { COMMIT_ATTEMPTS_MAX, SessionEndedError } from "../catalog/catalog.ts";
import { ContentGoneError, releaseContent } from "../catalog/contents.ts";
import { bucketKey, isNodeKey, objectKey, usageKey } from "../catalog/keys.ts";
import { CatalogError, type KvAtomic } from "../catalog/kv.ts";
import type { Bucket } from "../catalog/records/bucket.ts";
import { decodeVersion, encodeVersion, type Version } from "../catalog/records/version.ts";
import { ObjectError } from "./api.ts";
import { bucketOf } from "./bucket-lookup.ts";
import type { ObjectContext } from "./context.ts";

/** Counters of one bucket's usage. */
const USAGE_SHARDS = 16;

/** What a decision is made on. */
export interface Current {
  readonly bucket: Bucket;
  /** `undefined` when the key has none. */
  readonly version: Version | undefined;
  /** The commit that the decision belongs to; it already checks that nothing of this has changed. */
  readonly atomic: KvAtomic;
}

/**
 * - `set`: the version to put in place. `keepsContent`: it has taken over the replaced version's content.
 * - `delete`: the key is to have none.
 * - `leave`: nothing is to change.
 */
export type Decision =
  | { readonly action: "set"; readonly version: Version; readonly keepsContent?: boolean }
  | { readonly action: "delete" }
  | { readonly action: "leave" };

/**
 * Changes the current version of a key. `decide` may run several times, each time with a fresh commit.
 * @throws ObjectError of `decide`; no-such-bucket; conflict when others always came first. CatalogError
 */
export function commitVersion(
  context: ObjectContext,
  target: { readonly bucket: string; readonly key: string; readonly bucketId: string },
  decide: (current: Current) => Decision | Promise<Decision>,
): Promise<void> {
  const { catalog, clock, commits } = context;
  return commits.run(`${target.bucketId}/${target.key}`, async () => {
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const [bucketEntry, entry] = await catalog.kv.getMany([
        bucketKey(target.bucket),
        objectKey(target.bucketId, target.key),
      ]);
      const found = bucketOf(target.bucket, bucketEntry);
      // A bucket of the same name that was created meanwhile is another one.
      if (found.bucket.bucketId !== target.bucketId) throw bucketReplaced(target.bucket);
      const version = entry && decodeVersion(entry.value);
      const key = objectKey(target.bucketId, target.key);
      const atomic = catalog
        .begin()
        .check(found.entry.key, found.entry.version)
        .check(key, entry?.version ?? null);
      try {
        const decision = await decide({ bucket: found.bucket, version, atomic });
        if (decision.action === "leave") return;
        const keepsContent = decision.action === "set" && decision.keepsContent === true;
        if (version !== undefined && !keepsContent) {
          await releaseContent({ kv: catalog.kv, atomic, nowMs: clock.nowMs() }, version);
        }
        const next = decision.action === "set" ? decision.version : undefined;
        if (next === undefined) atomic.delete(key);
        else atomic.set(key, encodeVersion(next));
        countUsage(context, atomic, target.bucketId, { before: version, after: next });
        const result = await catalog.commit(atomic);
        if (result.committed) return;
        if (isNodeKey(result.failed)) await context.blobs.refreshNodes();
      } catch (error) {
        if (!(error instanceof ContentGoneError)) throw error;
      }
    }
    throw new ObjectError("conflict", "A conflicting operation is in progress on this object; try again");
  });
}

function bucketReplaced(name: string): ObjectError {
  return new ObjectError("no-such-bucket", "The specified bucket was deleted meanwhile", { bucket: name });
}

function countUsage(
  { catalog }: ObjectContext,
  atomic: KvAtomic,
  bucketId: string,
  change: { before: Version | undefined; after: Version | undefined },
): void {
  const objects = (change.after === undefined ? 0 : 1) - (change.before === undefined ? 0 : 1);
  const bytes = (change.after?.size ?? 0) - (change.before?.size ?? 0);
  if (objects !== 0 || bytes !== 0) {
    atomic.sum(usageKey(bucketId, catalog.session % USAGE_SHARDS), [objects, bytes]);
  }
}

/** The catalog's errors as callers of the object service see them. */
export function translateCatalogError(error: unknown): unknown {
  if (error instanceof SessionEndedError) {
    return new ObjectError("unavailable", "Another gateway took this one's place", {}, { cause: error });
  }
  if (!(error instanceof CatalogError)) return error;
  return error.kind === "full"
    ? new ObjectError("insufficient-storage", "The catalog has no room left", {}, { cause: error })
    : new ObjectError("unavailable", "The catalog cannot be used now", {}, { cause: error });
}

/**
 * Whether a commit that failed with `error` left things as they were. Otherwise it may have happened after all, and
 * what it was to enter must stay where it is.
 */
export function surelyNotCommitted(error: unknown): boolean {
  if (error instanceof CatalogError) return error.kind !== "unknown-outcome";
  return error instanceof ObjectError;
}
