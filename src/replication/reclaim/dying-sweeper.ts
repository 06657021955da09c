/**
 * Takes away what died, after the grace time and not before the reads that began earlier have ended. When something
 * died is told by the order of commits, not by clocks: at each run a mark is committed, and what has a lower version
 * than a mark that is old enough is old enough itself.
 */
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { ContentGoneError, releaseBlob } from "../../catalog/contents.ts";
import {
  copyIndexKey,
  dyingAfter,
  dyingBefore,
  dyingKey,
  partCounterKey,
  partsRange,
  pendingDeleteKey,
  sweepMarkKey,
  uploadsRange,
  usageRange,
} from "../../catalog/keys.ts";
import type { KvEntry, KvRange } from "../../catalog/kv.ts";
import type { Location } from "../../catalog/records/blob.ts";
import { type Dying, decodeDying, encodeDying, encodePendingDelete } from "../../catalog/records/dying.ts";
import { decodePart, type Extent } from "../../catalog/records/manifest.ts";
import { decodeUpload } from "../../catalog/records/upload.ts";
import type { Members } from "../../cluster/members.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { forEachConcurrently } from "../worker.ts";
import type { OpenReads } from "./open-reads.ts";
import { endPins, isPinned } from "./pins.ts";

/** Entries worked on at a time. */
const CONCURRENCY = 8;
/** Marks kept; the oldest that is old enough counts, so fewer only delay. */
const MARKS_MAX = 1_000;

export interface SweeperDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly openReads: OpenReads;
  readonly clock: Clock;
  readonly graceMs: number;
}

export class DyingSweeper {
  readonly #deps: SweeperDeps;
  #marks: { readonly version: number; readonly atMs: number }[] = [];
  /** By how much the wall clock was ahead of the monotonic one when this process began. */
  readonly #wallAheadMs: number;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    this.#wallAheadMs = deps.clock.nowMs() - deps.clock.monotonicMs();
  }

  /** One run over everything whose time has come. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#mark();
    const version = this.#ripeVersion();
    const { catalog, clock, graceMs } = this.#deps;
    // A wall clock that jumps ahead while the process runs ends no pin before its time.
    await endPins(catalog, Math.min(clock.nowMs(), clock.monotonicMs() + this.#wallAheadMs), version);
    if (version === undefined) return;
    const nowMs = clock.nowMs();
    // What died after now did so before the clock was set back; whether its grace has passed is told by the version alone.
    for (const range of [dyingBefore(nowMs - graceMs + 1), dyingAfter(nowMs)]) {
      await this.#buryAll(range, version, signal);
    }
  }

  async #buryAll(range: KvRange, version: number, signal: AbortSignal): Promise<void> {
    const { catalog } = this.#deps;
    await forEachConcurrently(walk(catalog.kv, range), CONCURRENCY, signal, async (entry) => {
      // What the journal does not have may be undone by the loss of the catalog, and then lives again.
      if (entry.version > Math.min(version, catalog.journaledVersion())) return;
      try {
        await this.#bury(entry, decodeDying(entry.value));
      } catch (error) {
        // Somebody else changed what it refers to; it is looked at again next time.
        if (!(error instanceof ContentGoneError)) throw error;
      }
    });
  }

  async #mark(): Promise<void> {
    const { catalog, clock } = this.#deps;
    const result = await catalog.commit(catalog.begin().set(sweepMarkKey(), new Uint8Array(0)));
    if (!result.committed) return;
    this.#marks.push({ version: result.version, atMs: clock.monotonicMs() });
    if (this.#marks.length > MARKS_MAX) this.#marks.shift();
  }

  /** The version up to which things died longer ago than the grace time and than the oldest read under way. */
  #ripeVersion(): number | undefined {
    const { clock, graceMs, openReads } = this.#deps;
    const graceEndMs = clock.monotonicMs() - graceMs;
    const oldestReadMs = openReads.oldestMs();
    const ripe = this.#marks.filter(
      ({ atMs }) => atMs <= graceEndMs && (oldestReadMs === undefined || atMs < oldestReadMs),
    );
    const last = ripe.at(-1);
    if (last !== undefined) this.#marks = this.#marks.slice(ripe.length - 1);
    return last?.version;
  }

  async #bury(entry: KvEntry, dying: Dying): Promise<void> {
    switch (dying.kind) {
      case "copies":
        return this.#deleteCopies(entry, dying.blobId, dying.copies);
      case "part":
        return this.#dropReferences(entry, dying.partId, dying.extents);
      case "manifest":
        return this.#dropParts(entry, dying.manifestId);
      case "bucket":
        return this.#dropBucket(entry, dying.bucketId);
    }
  }

  async #deleteCopies(entry: KvEntry, blobId: Id, copies: readonly Location[]): Promise<void> {
    const { catalog, members, clock } = this.#deps;
    // No pin can come between this look and the deletions: pins are made of what is alive.
    if (await isPinned(catalog.kv, blobId)) return;
    const atomic = catalog.begin().check(entry.key, entry.version).delete(entry.key);
    await Promise.all(
      copies.map(async ({ nodeUuid, key }) => {
        const deleted = await deleteCopy(members(), { nodeUuid, key });
        atomic.delete(copyIndexKey(nodeUuid, key));
        if (deleted) return;
        atomic.set(pendingDeleteKey(nodeUuid, key), encodePendingDelete({ blobId, sinceMs: clock.nowMs() }));
      }),
    );
    await catalog.commit(atomic);
  }

  async #dropReferences(entry: KvEntry, partId: Id, extents: readonly Extent[]): Promise<void> {
    const { catalog, clock } = this.#deps;
    const atomic = catalog.begin().check(entry.key, entry.version).delete(entry.key);
    const release = { kv: catalog.kv, atomic, nowMs: clock.nowMs() };
    for (const blobId of new Set(extents.map((extent) => extent.blobId))) await releaseBlob(release, blobId, partId);
    await catalog.commit(atomic);
  }

  async #dropParts(entry: KvEntry, manifestId: Id): Promise<void> {
    const { catalog } = this.#deps;
    for await (const partEntry of walk(catalog.kv, partsRange(manifestId))) {
      const { partId, extents } = decodePart(partEntry.value);
      await this.#dropReferences(partEntry, partId, extents);
    }
    // A part that was committed while its upload was aborted is found by the next run.
    const atomic = catalog.begin().checkEmpty(partsRange(manifestId)).check(entry.key, entry.version);
    await catalog.commit(atomic.delete(entry.key).delete(partCounterKey(manifestId)));
  }

  async #dropBucket(entry: KvEntry, bucketId: Id): Promise<void> {
    const { catalog, clock } = this.#deps;
    for await (const uploadEntry of walk(catalog.kv, uploadsRange(bucketId, ""))) {
      const { uploadId } = decodeUpload(uploadEntry.value);
      await catalog.commit(
        catalog
          .begin()
          .check(uploadEntry.key, uploadEntry.version)
          .delete(uploadEntry.key)
          .set(dyingKey(clock.nowMs(), uploadId), encodeDying({ kind: "manifest", manifestId: uploadId })),
      );
    }
    const atomic = catalog.begin().checkEmpty(uploadsRange(bucketId, "")).check(entry.key, entry.version);
    for await (const usage of walk(catalog.kv, usageRange(bucketId))) atomic.delete(usage.key);
    await catalog.commit(atomic.delete(entry.key));
  }
}

/** Deletes a copy from its node; false when the node could not be asked or did not do it. */
export async function deleteCopy(members: Members, { nodeUuid, key }: Location): Promise<boolean> {
  const member = members.get(nodeUuid);
  if (member === undefined || !members.servesReads(nodeUuid)) return false;
  try {
    await member.node.delete(key);
    return true;
  } catch {
    return false;
  }
}
