/** Arbitrary records of the catalog, within what the code that writes them promises. */
import fc from "fast-check";
import type { BlobHome, CopyEntry, RepairEntry } from "../../../src/catalog/blobs.ts";
import { type Blob, type Location, SLOT_STATES, type Slot } from "../../../src/catalog/records/blob.ts";
import type { Bucket } from "../../../src/catalog/records/bucket.ts";
import type { Cluster, Session } from "../../../src/catalog/records/cluster.ts";
import type { DeadLetter } from "../../../src/catalog/records/dead-letter.ts";
import type { Dying, PendingDelete } from "../../../src/catalog/records/dying.ts";
import { JOB_KINDS, JOB_STATES, type Job } from "../../../src/catalog/records/job.ts";
import type { Extent, ManifestPage, Part } from "../../../src/catalog/records/manifest.ts";
import type { Pin } from "../../../src/catalog/records/pin.ts";
import type { Upload } from "../../../src/catalog/records/upload.ts";
import {
  CHECKSUM_ALGORITHMS,
  CHECKSUM_TYPES,
  type Content,
  type HeaderPairs,
  type ObjectChecksum,
  type Version,
} from "../../../src/catalog/records/version.ts";
import { EVENT_KINDS } from "../../../src/cluster/events/event.ts";
import type { EventRecord } from "../../../src/cluster/events/event-record.ts";
import type { HealthReport } from "../../../src/cluster/health/reports.ts";
import type { NodeRecord, TopologyRecord } from "../../../src/cluster/topology-records.ts";
import type { Id } from "../../../src/shared/ids.ts";

const hexOf = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((drawn) => Buffer.from(drawn).toString("hex"));

export const anId: fc.Arbitrary<Id> = hexOf(16);
export const aCopyKey: fc.Arbitrary<string> = fc
  .tuple(hexOf(4), hexOf(16))
  .map(([session, random]) => `${session}/${random}`);
/** Milliseconds since 1970, sizes, counts. */
export const aCount = fc.maxSafeNat();
/** Any text that has a UTF-8 form. */
export const aText = fc.string({ unit: "binary", maxLength: 40 });
const pairs: fc.Arbitrary<HeaderPairs> = fc.array(fc.tuple(aText, aText), { maxLength: 4 });
const aBase64 = fc.uint8Array({ minLength: 4, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("base64"));

export const aLocation: fc.Arbitrary<Location> = fc.record({ nodeUuid: anId, key: aCopyKey });

/** Left out, not undefined, where it is not drawn. */
function optional<K extends string, T>(name: K, value: fc.Arbitrary<T>): fc.Arbitrary<{ readonly [P in K]?: T }> {
  return fc.record({ [name]: value } as { [P in K]: fc.Arbitrary<T> }, { requiredKeys: [] });
}

function merged<A, B>(a: fc.Arbitrary<A>, b: fc.Arbitrary<B>): fc.Arbitrary<A & B> {
  return fc.tuple(a, b).map(([first, second]) => ({ ...first, ...second }));
}

const aSlot: fc.Arbitrary<Slot> = merged(
  fc.record({ state: fc.constantFrom(...SLOT_STATES), domain: aText }),
  merged(
    optional("location", aLocation),
    // Whole seconds are kept.
    optional(
      "verifiedAtMs",
      fc.nat(4_000_000_000).map((seconds) => seconds * 1000),
    ),
  ),
);

export const aBlob: fc.Arbitrary<Blob> = fc.record({
  blobId: anId,
  length: aCount,
  blockCrcs: fc.uint8Array({ maxLength: 64 }),
  slots: fc.array(aSlot, { maxLength: 5 }),
});

const aContent: fc.Arbitrary<Content> = fc.oneof(
  fc.constant({ kind: "empty" } as const),
  aBlob.map((blob) => ({ kind: "inline", blob }) as const),
  anId.map((blobId) => ({ kind: "blob", blobId }) as const),
  fc.record({ kind: fc.constant("manifest" as const), manifestId: anId, partCount: fc.nat(10_000) }),
);

const aChecksumKind = fc.record({
  algorithm: fc.constantFrom(...CHECKSUM_ALGORITHMS),
  type: fc.constantFrom(...CHECKSUM_TYPES),
});

const aChecksum: fc.Arbitrary<ObjectChecksum> = merged(aChecksumKind, fc.record({ value: aBase64 }));

export const aVersion: fc.Arbitrary<Version> = merged(
  fc.record({
    versionId: anId,
    isNull: fc.boolean(),
    sequence: aCount,
    deleteMarker: fc.boolean(),
    createdAtMs: aCount,
    size: aCount,
    etag: aText,
    headers: pairs,
    metadata: pairs,
    content: aContent,
    storageClass: aText,
    owner: aText,
  }),
  merged(optional("checksum", aChecksum), optional("partCount", fc.nat(10_000))),
);

const anExtent: fc.Arbitrary<Extent> = fc.record({ blobId: anId, offset: aCount, length: aCount });

export const aPart: fc.Arbitrary<Part> = merged(
  fc.record({
    partId: anId,
    partNumber: fc.integer({ min: 1, max: 10_000 }),
    size: aCount,
    modifiedAtMs: aCount,
    etag: hexOf(16),
    extents: fc.array(anExtent, { maxLength: 4 }),
  }),
  optional("checksum", aBase64),
);

export const aManifestPage: fc.Arbitrary<ManifestPage> = fc.record({
  runs: fc.array(fc.record({ firstPart: fc.nat(10_000), count: fc.nat(10_000), partSize: aCount }), { maxLength: 5 }),
  pageCount: fc.nat(16),
});

export const anUpload: fc.Arbitrary<Upload> = merged(
  fc.record({
    uploadId: anId,
    key: aText,
    initiatedAtMs: aCount,
    owner: aText,
    headers: pairs,
    metadata: pairs,
    storageClass: aText,
  }),
  optional("checksum", aChecksumKind),
);

export const aBucket: fc.Arbitrary<Bucket> = fc.record({
  bucketId: anId,
  name: aText,
  createdAtMs: aCount,
  owner: aText,
  location: aText,
  readRedirect: fc.boolean(),
});

export const aPin: fc.Arbitrary<Pin> = fc.record({
  createdAtMs: aCount,
  bucket: aText,
  key: aText,
  location: aLocation,
  ended: fc.boolean(),
});

export const aCluster: fc.Arbitrary<Cluster> = fc.record({ clusterId: anId, createdAtMs: aCount });

export const aSession: fc.Arbitrary<Session> = fc.record({
  startedAtMs: aCount,
  host: aText,
  pid: fc.nat(),
  state: fc.constantFrom("live" as const, "ended" as const),
});

export const aDying: fc.Arbitrary<Dying> = fc.oneof(
  fc.record({ kind: fc.constant("copies" as const), blobId: anId, copies: fc.array(aLocation, { maxLength: 4 }) }),
  fc.record({ kind: fc.constant("part" as const), partId: anId, extents: fc.array(anExtent, { maxLength: 4 }) }),
  fc.record({ kind: fc.constant("manifest" as const), manifestId: anId }),
  fc.record({ kind: fc.constant("bucket" as const), bucketId: anId }),
);

export const aPendingDelete: fc.Arbitrary<PendingDelete> = fc.record({ blobId: anId, sinceMs: aCount });

const aHome: fc.Arbitrary<BlobHome> = fc.oneof(
  fc.constant({ kind: "own" } as const),
  fc.record({ kind: fc.constant("inline" as const), bucketId: anId, key: aText }),
);

export const aCopyEntry: fc.Arbitrary<CopyEntry> = fc.record({ blobId: anId, slot: fc.nat(20), home: aHome });

export const aRepairEntry: fc.Arbitrary<RepairEntry> = merged(
  fc.record({ home: aHome, sinceMs: aCount, notBeforeMs: aCount, attempts: fc.nat(100) }),
  optional("work", fc.record({ state: fc.constantFrom(...SLOT_STATES), domain: aText })),
);

export const aDeadLetter: fc.Arbitrary<DeadLetter> = merged(
  fc.record({
    home: aHome,
    sinceMs: aCount,
    givenUpAtMs: aCount,
    attempts: fc.nat(100),
    errorKind: aText,
    errorMessage: aText,
  }),
  optional("node", aText),
);

export const anEvent: fc.Arbitrary<EventRecord> = merged(
  fc.record({ atMs: aCount, kind: fc.constantFrom(...EVENT_KINDS), cause: aText, gateway: aText }),
  merged(optional("node", aText), optional("domain", aText)),
);

export const aHealthReport: fc.Arbitrary<HealthReport> = fc.record({
  beat: aCount,
  missed: fc.array(fc.tuple(anId, fc.nat(10_000))).map((entries) => new Map(entries)),
});

export const aNodeRecord: fc.Arbitrary<NodeRecord> = merged(
  fc.record({
    uuid: anId,
    name: aText,
    domain: aText,
    homeDomain: aText,
    weight: fc.nat(10_000),
    acceptsWrites: fc.boolean(),
    physicalStorageId: aText,
    host: aText,
    diskType: fc.constantFrom("ssd" as const, "hdd" as const, "nvme" as const, "unknown" as const),
    admitted: fc.boolean(),
    configured: fc.boolean(),
  }),
  merged(optional("rack", aText), optional("decommissionedAtMs", aCount)),
);

export const aTopologyRecord: fc.Arbitrary<TopologyRecord> = fc.record({
  epoch: aCount,
  virtualNodesPerNode: fc.nat(10_000),
  domains: fc.array(
    fc.record({
      name: aText,
      role: fc.constantFrom("active" as const, "standby" as const),
      minNodes: fc.nat(100),
      replicaCount: fc.nat(10),
      acceptsWrites: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  replication: fc.record({
    factor: fc.integer({ min: 1, max: 10 }),
    quorum: fc.integer({ min: 1, max: 10 }),
    domainChoice: fc.constantFrom("hash" as const, "priority" as const),
    degradedWrite: fc.record({
      enabled: fc.boolean(),
      minReplicas: fc.nat(10),
      handoff: fc.constantFrom("any" as const, "active" as const, "none" as const),
    }),
  }),
});

export const aJob: fc.Arbitrary<Job> = merged(
  fc.record({
    id: anId,
    kind: fc.constantFrom(...JOB_KINDS),
    subject: fc.record({ kind: fc.constantFrom("node" as const, "domain" as const), key: aText, name: aText }),
    state: fc.constantFrom(...JOB_STATES),
    cause: aText,
    askedBy: aText,
    createdAtMs: aCount,
    session: aCount,
    counts: fc.record({ considered: aCount, moved: aCount, skipped: aCount, failed: aCount, bytes: aCount }),
  }),
  merged(
    merged(merged(optional("toDomain", aText), optional("startedAtMs", aCount)), optional("endedAtMs", aCount)),
    merged(merged(optional("detail", aText), optional("total", aCount)), optional("cursor", aText)),
  ),
);
