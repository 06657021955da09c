/** Everything that a catalog holds, decoded and by kind. */
import assert from "node:assert/strict";
import { type CopyEntry, decodeCopyEntry, decodeRepairEntry, type RepairEntry } from "../../src/catalog/blobs.ts";
import { walk } from "../../src/catalog/catalog.ts";
import { type Kv, readCounters } from "../../src/catalog/kv.ts";
import { type Blob, decodeBlob } from "../../src/catalog/records/blob.ts";
import { decodeBucket } from "../../src/catalog/records/bucket.ts";
import { type DeadLetter, decodeDeadLetter } from "../../src/catalog/records/dead-letter.ts";
import { type Dying, decodeDying } from "../../src/catalog/records/dying.ts";
import { decodeManifestPage, decodePart, type Part } from "../../src/catalog/records/manifest.ts";
import { decodePin } from "../../src/catalog/records/pin.ts";
import { decodeUpload } from "../../src/catalog/records/upload.ts";
import { decodeVersion, type Version } from "../../src/catalog/records/version.ts";
import { type TupleElement, unpack } from "../../src/catalog/tuple.ts";
import { copyKeyFromBytes } from "../../src/nodes/copy-key.ts";
import { type Id, idFromBytes } from "../../src/shared/ids.ts";

/** The catalog's records, by kind. Names are as the audit prints them. */
export interface CatalogContents {
  /** Entries by the first element of their key. */
  readonly counts: ReadonlyMap<string, number>;
  readonly buckets: ReadonlyMap<Id, string>;
  /** By `bucketId/key`. */
  readonly versions: ReadonlyMap<string, Version>;
  readonly uploads: ReadonlySet<Id>;
  /** By `manifestId/number`. */
  readonly parts: ReadonlyMap<string, Part>;
  readonly partCounters: ReadonlySet<Id>;
  /** Manifest ids; the runs of all pages as text. */
  readonly manifests: ReadonlyMap<Id, string>;
  readonly blobs: ReadonlyMap<Id, Blob>;
  /** `target owner`. */
  readonly references: ReadonlySet<string>;
  /** By `nodeUuid/key`. */
  readonly copies: ReadonlyMap<string, CopyEntry>;
  /** `goodCopies blobId slot`. */
  readonly repairs: ReadonlyMap<string, RepairEntry>;
  /** By `blobId slot`. */
  readonly deadLetters: ReadonlyMap<string, DeadLetter>;
  readonly dying: readonly Dying[];
  /** `nodeUuid/key`. */
  readonly pendingDeletes: ReadonlySet<string>;
  /** Objects and bytes by bucket id. */
  readonly usage: ReadonlyMap<Id, readonly [number, number]>;
}

const ALL = { start: Buffer.of(0), end: Buffer.of(0xfe) };

export async function readCatalog(kv: Kv): Promise<CatalogContents> {
  const counts = new Map<string, number>();
  const buckets = new Map<Id, string>();
  const versions = new Map<string, Version>();
  const uploads = new Set<Id>();
  const parts = new Map<string, Part>();
  const partCounters = new Set<Id>();
  const manifests = new Map<Id, string>();
  const blobs = new Map<Id, Blob>();
  const references = new Set<string>();
  const copies = new Map<string, CopyEntry>();
  const repairs = new Map<string, RepairEntry>();
  const deadLetters = new Map<string, DeadLetter>();
  const dying: Dying[] = [];
  const pendingDeletes = new Set<string>();
  const usage = new Map<Id, [number, number]>();
  for await (const { key, value } of walk(kv, ALL)) {
    const [kind, a, b, c] = unpack(key);
    assert.ok(typeof kind === "string");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    switch (kind) {
      case "bucket": {
        const bucket = decodeBucket(value);
        buckets.set(bucket.bucketId, bucket.name);
        break;
      }
      case "object":
        versions.set(`${id(a)}/${String(b)}`, decodeVersion(value));
        break;
      case "upload":
        uploads.add(decodeUpload(value).uploadId);
        break;
      case "part":
        parts.set(`${id(a)}/${String(b)}`, decodePart(value));
        break;
      case "part-counter":
        partCounters.add(id(a));
        break;
      case "manifest":
        manifests.set(id(a), (manifests.get(id(a)) ?? "") + JSON.stringify(decodeManifestPage(value).runs));
        break;
      case "blob":
        blobs.set(id(a), decodeBlob(value));
        break;
      case "ref":
        references.add(`${id(a)} ${id(b)}`);
        break;
      case "copy":
        copies.set(`${id(a)}/${copyKey(b)}`, decodeCopyEntry(value));
        break;
      case "repair":
        repairs.set(`${String(a)} ${id(b)} ${String(c)}`, decodeRepairEntry(value));
        break;
      case "dead-letter":
        deadLetters.set(`${id(a)} ${String(b)}`, decodeDeadLetter(value));
        break;
      case "dying":
        dying.push(decodeDying(value));
        break;
      case "pending-delete":
        pendingDeletes.add(`${id(a)}/${copyKey(b)}`);
        break;
      case "pin":
        decodePin(value);
        break;
      case "usage": {
        const [objects = 0, bytes = 0] = readCounters(value);
        const [objectsBefore, bytesBefore] = usage.get(id(a)) ?? [0, 0];
        usage.set(id(a), [objectsBefore + objects, bytesBefore + bytes]);
        break;
      }
      default:
        assert.ok(KINDS_OF_THE_CLUSTER.has(kind), `an entry of an unknown kind: ${kind}`);
    }
  }
  return {
    counts,
    buckets,
    versions,
    uploads,
    parts,
    partCounters,
    manifests,
    blobs,
    references,
    copies,
    repairs,
    deadLetters,
    dying,
    pendingDeletes,
    usage,
  };
}

const KINDS_OF_THE_CLUSTER: ReadonlySet<string> = new Set([
  "event",
  "event-cursor",
  "health-report",
  "leader",
  "cursor",
  "job",
  "job-queued",
  "live-limits",
  "seen-node",
  "job-failure",
  "cluster",
  "topology",
  "applied-file",
  "node",
  "node-connection",
  "policy-history",
  "session",
  "local",
  "collected",
]);

/** Kinds of entries that stay when all objects, uploads and buckets are gone and everything was swept. */
export function leftovers({ counts }: CatalogContents): string[] {
  return [...counts].filter(([kind]) => !KINDS_OF_THE_CLUSTER.has(kind)).map(([kind, count]) => `${count} ${kind}`);
}

/** Blobs that something refers to, wherever their records are. */
export function liveBlobs({ versions, blobs }: CatalogContents): Map<Id, Blob> {
  const live = new Map(blobs);
  for (const { content } of versions.values())
    if (content.kind === "inline") live.set(content.blob.blobId, content.blob);
  return live;
}

function id(element: TupleElement | undefined): Id {
  assert.ok(element instanceof Uint8Array);
  return idFromBytes(element);
}

function copyKey(element: TupleElement | undefined): string {
  assert.ok(element instanceof Uint8Array);
  return copyKeyFromBytes(element);
}
