/**
 * Who refers to what. A version owns its content alone, or shares a blob or a manifest by reference keys. Every
 * change of references rewrites the record that they point to, under a check of its version: so two changes to one
 * target can never miss each other, and the one that takes the last reference away knows that it is the last.
 */
import type { Id } from "../shared/ids.ts";
import { type LocatedBlob, locatedOwn, retireCopies, setOwnBlob } from "./blobs.ts";
import { blobKey, dyingKey, manifestKey, manifestRange, referenceKey, referencesRange } from "./keys.ts";
import type { Kv, KvAtomic, KvEntry } from "./kv.ts";
import { encodeDying } from "./records/dying.ts";
import type { Content, Version } from "./records/version.ts";

/** A commit under construction that takes references away. */
export interface Release {
  readonly kv: Kv;
  readonly atomic: KvAtomic;
  /** Wall clock, under which what dies is filed. */
  readonly nowMs: number;
}

const NO_VALUE = new Uint8Array(0);

/** The target of a reference was gone, or about to go, when it was looked at. Whoever asked starts over. */
export class ContentGoneError extends Error {
  constructor() {
    super("what the version refers to has changed meanwhile");
    this.name = "ContentGoneError";
  }
}

/** Adds a reference to a blob that has a record of its own. */
export function addBlobReference(atomic: KvAtomic, target: LocatedBlob, owner: Id): void {
  atomic.check(target.entryKey, target.entryVersion);
  setOwnBlob(atomic, target.blob);
  atomic.set(referenceKey(target.blob.blobId, owner), NO_VALUE);
}

/** Enters the first reference to a blob or manifest that this very commit creates. */
export function addFirstReference(atomic: KvAtomic, target: Id, owner: Id): void {
  atomic.set(referenceKey(target, owner), NO_VALUE);
}

/**
 * Lets go of a version's content: the last to do so leaves it dying.
 * The commit must also check or replace the version itself; an inline blob stands and falls with it.
 * @throws ContentGoneError
 */
export async function releaseContent(release: Release, version: Version): Promise<void> {
  const { content } = version;
  switch (content.kind) {
    case "empty":
      return;
    case "inline":
      retireCopies(release.atomic, content.blob, release.nowMs);
      return;
    case "blob":
      await releaseBlob(release, content.blobId, version.versionId);
      return;
    case "manifest":
      await releaseManifest(release, content.manifestId, version.versionId);
  }
}

/** Takes one reference away from a blob that has a record of its own. @throws ContentGoneError */
export async function releaseBlob(release: Release, blobId: Id, owner: Id): Promise<void> {
  const { kv, atomic, nowMs } = release;
  const entry = await kv.get(blobKey(blobId));
  if (entry === undefined) throw new ContentGoneError();
  const located = locatedOwn(entry);
  const last = await isLastReference(kv, blobId, owner);
  atomic.check(entry.key, entry.version).delete(referenceKey(blobId, owner));
  if (last) {
    atomic.delete(entry.key);
    retireCopies(atomic, located.blob, nowMs);
  } else {
    setOwnBlob(atomic, located.blob);
  }
}

async function releaseManifest({ kv, atomic, nowMs }: Release, manifestId: Id, owner: Id): Promise<void> {
  const head = await manifestHead(kv, manifestId);
  const last = await isLastReference(kv, manifestId, owner);
  atomic.check(head.key, head.version).delete(referenceKey(manifestId, owner));
  if (!last) {
    atomic.set(head.key, head.value);
    return;
  }
  for (const page of await kv.list(manifestRange(manifestId), { limit: MANIFEST_PAGES_MAX })) atomic.delete(page.key);
  atomic.set(dyingKey(nowMs, manifestId), encodeDying({ kind: "manifest", manifestId }));
}

/** 10,000 parts of as many sizes make five pages. */
const MANIFEST_PAGES_MAX = 16;

/**
 * The content that a second version of the same bytes has, sharing it with `source`. Where the source kept its blob
 * inline, the blob moves to a record of its own and `source` is to be rewritten with `sourceContent`.
 * @throws ContentGoneError
 */
export async function shareContent(
  kv: Kv,
  atomic: KvAtomic,
  source: Version,
  owner: Id,
): Promise<{ content: Content; sourceContent: Content }> {
  const { content } = source;
  switch (content.kind) {
    case "empty":
      return { content, sourceContent: content };
    case "inline": {
      const { blobId } = content.blob;
      setOwnBlob(atomic, content.blob);
      addFirstReference(atomic, blobId, source.versionId);
      addFirstReference(atomic, blobId, owner);
      return { content: { kind: "blob", blobId }, sourceContent: { kind: "blob", blobId } };
    }
    case "blob": {
      const entry = await kv.get(blobKey(content.blobId));
      if (entry === undefined) throw new ContentGoneError();
      addBlobReference(atomic, locatedOwn(entry), owner);
      return { content, sourceContent: content };
    }
    case "manifest": {
      const head = await manifestHead(kv, content.manifestId);
      atomic.check(head.key, head.version).set(head.key, head.value);
      addFirstReference(atomic, content.manifestId, owner);
      return { content, sourceContent: content };
    }
  }
}

/**
 * Hands content on from a version to the one that replaces it under the same key (a copy of an object onto itself).
 * @throws ContentGoneError
 */
export async function handOnContent(kv: Kv, atomic: KvAtomic, from: Version, owner: Id): Promise<void> {
  const { content } = from;
  if (content.kind !== "blob" && content.kind !== "manifest") return;
  const target = content.kind === "blob" ? content.blobId : content.manifestId;
  const entry = await kv.get(content.kind === "blob" ? blobKey(target) : manifestKey(target, 0));
  if (entry === undefined) throw new ContentGoneError();
  atomic
    .check(entry.key, entry.version)
    .set(entry.key, entry.value)
    .delete(referenceKey(target, from.versionId))
    .set(referenceKey(target, owner), NO_VALUE);
}

async function manifestHead(kv: Kv, manifestId: Id): Promise<KvEntry> {
  const head = await kv.get(manifestKey(manifestId, 0));
  if (head === undefined) throw new ContentGoneError();
  return head;
}

async function isLastReference(kv: Kv, target: Id, owner: Id): Promise<boolean> {
  const references = await kv.list(referencesRange(target), { limit: 2 });
  const own = referenceKey(target, owner);
  return references.every((entry) => entry.key.equals(own));
}
