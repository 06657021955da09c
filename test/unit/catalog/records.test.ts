/**
 * The formats of the catalog's records. The golden bytes are what is on disks: a test that fails here says that a format
 * has changed, which takes a higher format number and a way to read the old one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type CopyEntry,
  decodeCopyEntry,
  decodeRepairEntry,
  encodeCopyEntry,
  encodeRepairEntry,
  type RepairEntry,
} from "../../../src/catalog/blobs.ts";
import { KV_VALUE_BYTES_MAX } from "../../../src/catalog/kv.ts";
import { type Blob, decodeBlob, encodeBlob } from "../../../src/catalog/records/blob.ts";
import { type Bucket, decodeBucket, encodeBucket } from "../../../src/catalog/records/bucket.ts";
import {
  type Cluster,
  decodeCluster,
  decodeFloor,
  decodeSession,
  encodeCluster,
  encodeFloor,
  encodeSession,
  type Session,
} from "../../../src/catalog/records/cluster.ts";
import { decodeRecord, encodeRecord, RecordError } from "../../../src/catalog/records/codec.ts";
import { type Cursor, decodeCursor, encodeCursor } from "../../../src/catalog/records/cursor.ts";
import { type DeadLetter, decodeDeadLetter, encodeDeadLetter } from "../../../src/catalog/records/dead-letter.ts";
import {
  type Dying,
  decodeDying,
  decodePendingDelete,
  encodeDying,
  encodePendingDelete,
  type PendingDelete,
} from "../../../src/catalog/records/dying.ts";
import {
  decodeJob,
  decodeJobFailure,
  encodeJob,
  encodeJobFailure,
  type Job,
  type JobFailure,
} from "../../../src/catalog/records/job.ts";
import { decodeLeader, encodeLeader, type Leader } from "../../../src/catalog/records/leader.ts";
import { decodeLiveLimits, encodeLiveLimits, type LiveLimits } from "../../../src/catalog/records/live-limits.ts";
import {
  decodeManifestPage,
  decodePart,
  EXTENTS_PER_PART_MAX,
  encodeManifestPage,
  encodePart,
  type ManifestPage,
  type Part,
  RUNS_PER_PAGE,
  runsOf,
} from "../../../src/catalog/records/manifest.ts";
import { decodePin, encodePin, type Pin } from "../../../src/catalog/records/pin.ts";
import { decodeSeenNode, encodeSeenNode, type SeenNode } from "../../../src/catalog/records/seen-node.ts";
import { decodeUpload, encodeUpload, type Upload } from "../../../src/catalog/records/upload.ts";
import { decodeVersion, encodeVersion, type Version } from "../../../src/catalog/records/version.ts";
import type { ConfiguredTopology } from "../../../src/cluster/configured-topology.ts";
import {
  decodeEvent,
  decodeEventCursor,
  type EventRecord,
  encodeEvent,
  encodeEventCursor,
} from "../../../src/cluster/events/event-record.ts";
import { decodeHealthReport, encodeHealthReport, type HealthReport } from "../../../src/cluster/health/reports.ts";
import { decodePolicyHistory, encodePolicyHistory, type PastFactor } from "../../../src/cluster/policy-history.ts";
import {
  decodeFile,
  decodeNode,
  decodeTopology,
  encodeFile,
  encodeNode,
  encodeTopology,
  type NodeRecord,
  type TopologyRecord,
} from "../../../src/cluster/topology-records.ts";
import {
  copyKeyBytes,
  copyKeyFromBytes,
  newCopyKey,
  SESSION_MAX,
  sessionOfCopyKey,
} from "../../../src/nodes/copy-key.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import {
  aBlob,
  aBucket,
  aCluster,
  aCopyEntry,
  aCopyKey,
  aCount,
  aDeadLetter,
  aDying,
  aHealthReport,
  aJob,
  aManifestPage,
  aNodeRecord,
  anEvent,
  anId,
  anUpload,
  aPart,
  aPendingDelete,
  aPin,
  aRepairEntry,
  aSession,
  aText,
  aTopologyRecord,
  aVersion,
} from "./arbitraries.ts";

interface Codec<T> {
  readonly name: string;
  readonly encode: (record: T) => Buffer;
  readonly decode: (value: Uint8Array) => T;
  readonly arbitrary: fc.Arbitrary<T>;
  /** Records and their bytes in the format that is written, as hex. */
  readonly golden: readonly (readonly [record: T, hex: string])[];
}

const ID_A = "0190f3a2b4c500112233445566778899";
const ID_B = "ffeeddccbbaa00998877665544332211";
const COPY_KEY = "0000002a/000102030405060708090a0b0c0d0e0f";
const LOCATION = { nodeUuid: ID_B, key: COPY_KEY };
const MS = 1_800_000_000_123;

const BLOB: Blob = {
  blobId: ID_A,
  length: 300_000,
  blockCrcs: Buffer.from("0badcafe00c0ffee", "hex"),
  slots: [
    { state: "ok", domain: "d0", location: LOCATION, verifiedAtMs: 1_800_000_000_000 },
    { state: "missing", domain: "d1" },
    { state: "handoff", domain: "d2", location: LOCATION },
  ],
};

const VERSION: Version = {
  versionId: ID_A,
  isNull: true,
  sequence: 7,
  deleteMarker: false,
  createdAtMs: MS,
  size: 300_000,
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  headers: [["content-type", "text/plain"]],
  metadata: [["__proto__", "é"]],
  checksum: { algorithm: "CRC32C", type: "FULL_OBJECT", value: "yZRlqg==" },
  content: { kind: "inline", blob: BLOB },
  storageClass: "STANDARD",
  owner: "root",
};

const blobCodec: Codec<Blob> = {
  name: "blob",
  encode: encodeBlob,
  decode: decodeBlob,
  arbitrary: aBlob,
  golden: [
    [
      BLOB,
      "019500c4100190f3a2b4c500112233445566778899ce000493e0c4080badcafe00c0ffee939400a2643092c410ffeeddccbbaa00998877665544332211c4140000002a000102030405060708090a0b0c0d0e0fce6b49d2009401a26431c0c09402a2643292c410ffeeddccbbaa00998877665544332211c4140000002a000102030405060708090a0b0c0d0e0fc0",
    ],
  ],
};

const versionCodec: Codec<Version> = {
  name: "version",
  encode: encodeVersion,
  decode: decodeVersion,
  arbitrary: aVersion,
  golden: [
    [
      VERSION,
      "019dc4100190f3a2b4c5001122334455667788990107cb427a3185c507b000ce000493e0d92064343164386364393866303062323034653938303039393865636638343237659192ac636f6e74656e742d74797065aa746578742f706c61696e9192a95f5f70726f746f5f5fa2c3a9930100c404c99465aa92019500c4100190f3a2b4c500112233445566778899ce000493e0c4080badcafe00c0ffee939400a2643092c410ffeeddccbbaa00998877665544332211c4140000002a000102030405060708090a0b0c0d0e0fce6b49d2009401a26431c0c09402a2643292c410ffeeddccbbaa00998877665544332211c4140000002a000102030405060708090a0b0c0d0e0fc0a85354414e44415244c0a4726f6f74",
    ],
    [
      {
        versionId: ID_A,
        isNull: false,
        sequence: 1,
        deleteMarker: true,
        createdAtMs: MS,
        size: 5,
        etag: "x-3",
        headers: [],
        metadata: [],
        content: { kind: "manifest", manifestId: ID_B, partCount: 3 },
        storageClass: "",
        partCount: 3,
        owner: "",
      },
      "019dc4100190f3a2b4c5001122334455667788990201cb427a3185c507b00005a3782d339090c09303c410ffeeddccbbaa0099887766554433221103a003a0",
    ],
    [
      { ...VERSION, content: { kind: "blob", blobId: ID_B } },
      "019dc4100190f3a2b4c5001122334455667788990107cb427a3185c507b000ce000493e0d92064343164386364393866303062323034653938303039393865636638343237659192ac636f6e74656e742d74797065aa746578742f706c61696e9192a95f5f70726f746f5f5fa2c3a9930100c404c99465aa9202c410ffeeddccbbaa00998877665544332211a85354414e44415244c0a4726f6f74",
    ],
    [
      { ...VERSION, content: { kind: "empty" } },
      "019dc4100190f3a2b4c5001122334455667788990107cb427a3185c507b000ce000493e0d92064343164386364393866303062323034653938303039393865636638343237659192ac636f6e74656e742d74797065aa746578742f706c61696e9192a95f5f70726f746f5f5fa2c3a9930100c404c99465aa9100a85354414e44415244c0a4726f6f74",
    ],
  ],
};

const partCodec: Codec<Part> = {
  name: "part",
  encode: encodePart,
  decode: decodePart,
  arbitrary: aPart,
  golden: [
    [
      {
        partId: ID_A,
        partNumber: 10_000,
        size: 5_368_709_120,
        modifiedAtMs: MS,
        etag: "d41d8cd98f00b204e9800998ecf8427e",
        checksum: "yZRlqg==",
        extents: [{ blobId: ID_B, offset: 1, length: 5_368_709_120 }],
      },
      "0197c4100190f3a2b4c500112233445566778899cd2710cb41f4000000000000cb427a3185c507b000c410d41d8cd98f00b204e9800998ecf8427ec404c99465aa9193c410ffeeddccbbaa0099887766554433221101cb41f4000000000000",
    ],
  ],
};

const manifestCodec: Codec<ManifestPage> = {
  name: "manifest page",
  encode: encodeManifestPage,
  decode: decodeManifestPage,
  arbitrary: aManifestPage,
  golden: [
    [
      {
        runs: [
          { firstPart: 1, count: 9_999, partSize: 5_242_880 },
          { firstPart: 10_000, count: 1, partSize: 1 },
        ],
        pageCount: 1,
      },
      "019201929301cd270fce0050000093cd27100101",
    ],
  ],
};

const uploadCodec: Codec<Upload> = {
  name: "upload",
  encode: encodeUpload,
  decode: decodeUpload,
  arbitrary: anUpload,
  golden: [
    [
      {
        uploadId: ID_A,
        key: "a/ü",
        initiatedAtMs: MS,
        owner: "root",
        headers: [],
        metadata: [["a", "b"]],
        storageClass: "STANDARD",
        checksum: { algorithm: "CRC64NVME", type: "FULL_OBJECT" },
      },
      "0198c4100190f3a2b4c500112233445566778899a4612fc3bccb427a3185c507b000a4726f6f74909192a161a162a85354414e44415244920200",
    ],
  ],
};

const bucketCodec: Codec<Bucket> = {
  name: "bucket",
  encode: encodeBucket,
  decode: decodeBucket,
  arbitrary: aBucket,
  golden: [
    [
      { bucketId: ID_A, name: "photos", createdAtMs: MS, owner: "root", location: "eu-west-1", readRedirect: true },
      "0296c4100190f3a2b4c500112233445566778899a670686f746f73cb427a3185c507b000a4726f6f74a965752d776573742d3101",
    ],
  ],
};

const pinCodec: Codec<Pin> = {
  name: "pin",
  encode: encodePin,
  decode: decodePin,
  arbitrary: aPin,
  golden: [
    [
      {
        createdAtMs: MS,
        bucket: "photos",
        key: "a/ü",
        location: { nodeUuid: ID_A, key: COPY_KEY },
        ended: true,
      },
      "0195cb427a3185c507b000a670686f746f73a4612fc3bc92c4100190f3a2b4c500112233445566778899c4140000002a000102030405060708090a0b0c0d0e0fc3",
    ],
  ],
};

const clusterCodec: Codec<Cluster> = {
  name: "cluster",
  encode: encodeCluster,
  decode: decodeCluster,
  arbitrary: aCluster,
  golden: [[{ clusterId: ID_A, createdAtMs: MS }, "0192c4100190f3a2b4c500112233445566778899cb427a3185c507b000"]],
};

const sessionCodec: Codec<Session> = {
  name: "session",
  encode: encodeSession,
  decode: decodeSession,
  arbitrary: aSession,
  golden: [
    [{ startedAtMs: MS, host: "gw-1", pid: 4711, state: "live" }, "0194cb427a3185c507b000a467772d31cd1267c3"],
    [{ startedAtMs: MS, host: "gw-1", pid: 4711, state: "ended" }, "0194cb427a3185c507b000a467772d31cd1267c2"],
  ],
};

const leaderCodec: Codec<Leader> = {
  name: "leader",
  encode: encodeLeader,
  decode: decodeLeader,
  arbitrary: fc.record({ epoch: fc.maxSafeNat(), session: fc.nat(), host: aText }),
  golden: [
    [{ epoch: 1, session: 42, host: "gw-1" }, "0193012aa467772d31"],
    [{ epoch: 300, session: 1, host: "" }, "0193cd012c01a0"],
  ],
};

const cursorCodec: Codec<Cursor> = {
  name: "cursor",
  encode: encodeCursor,
  decode: decodeCursor,
  arbitrary: fc.record({ version: fc.maxSafeNat() }),
  golden: [
    [{ version: 0 }, "019100"],
    [{ version: 300 }, "0191cd012c"],
    [{ version: 2 ** 40 }, "0191cb4270000000000000"],
  ],
};

const JOB: Job = {
  id: ID_A,
  kind: "DRAIN",
  subject: { kind: "node", key: ID_B, name: "node-a1" },
  state: "running",
  cause: "asked for",
  askedBy: "operator",
  createdAtMs: MS,
  session: 7,
  counts: { considered: 12, moved: 9, skipped: 2, failed: 1, bytes: 4_096 },
};

const jobCodec: Codec<Job> = {
  name: "job",
  encode: encodeJob,
  decode: decodeJob,
  arbitrary: aJob,
  golden: [
    [
      JOB,
      "019fc4100190f3a2b4c5001122334455667788990493a46e6f6465d9206666656564646363626261613030393938383737363635353434333332323131a76e6f64652d6131c001a961736b656420666f72a86f70657261746f72cb427a3185c507b000c0c007c0c0c0950c090201cd1000",
    ],
    [
      {
        ...JOB,
        kind: "SCRUB",
        subject: { kind: "domain", key: "a", name: "a" },
        toDomain: "b",
        state: "cancelled",
        startedAtMs: MS,
        endedAtMs: MS + 1,
        detail: "moving copies",
        total: 300,
        cursor: `${ID_B}/${COPY_KEY}`,
      },
      "019fc4100190f3a2b4c5001122334455667788990593a6646f6d61696ea161a161a16207a961736b656420666f72a86f70657261746f72cb427a3185c507b000cb427a3185c507b000cb427a3185c507c00007ad6d6f76696e6720636f70696573cd012cd94a66666565646463636262616130303939383837373636353534343333323231312f30303030303032612f3030303130323033303430353036303730383039306130623063306430653066950c090201cd1000",
    ],
  ],
};

const aCapacity = fc.record({ totalBytes: fc.maxSafeNat(), usedBytes: fc.maxSafeNat() });

const seenNodeCodec: Codec<SeenNode> = {
  name: "seen node",
  encode: encodeSeenNode,
  decode: decodeSeenNode,
  arbitrary: fc.record(
    {
      domain: aText,
      ringWeight: fc.nat(10_000),
      decommissioned: fc.boolean(),
      unverified: fc.boolean(),
      capacity: aCapacity,
    },
    { requiredKeys: ["domain", "ringWeight", "decommissioned", "unverified"] },
  ),
  golden: [
    [{ domain: "a", ringWeight: 100, decommissioned: false, unverified: true }, "0195a16164c2c3c0"],
    [
      {
        domain: "a",
        ringWeight: 0,
        decommissioned: true,
        unverified: false,
        capacity: { totalBytes: 4_096, usedBytes: 300 },
      },
      "0195a16100c3c292cd1000cd012c",
    ],
  ],
};

const aLimit = fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom("none" as const, "auto" as const));
const aWorkLimits = fc.record({ copiesPerSecond: aLimit, bandwidthMib: aLimit }, { requiredKeys: [] });

const liveLimitsCodec: Codec<LiveLimits> = {
  name: "live limits",
  encode: encodeLiveLimits,
  decode: decodeLiveLimits,
  arbitrary: fc.record({ rebalance: aWorkLimits, repair: aWorkLimits, scrub: aWorkLimits }),
  golden: [
    [
      {
        rebalance: { copiesPerSecond: 300, bandwidthMib: "none" },
        repair: { copiesPerSecond: "auto" },
        scrub: { bandwidthMib: 20 },
      },
      "019392cd012cff92fec092c014",
    ],
  ],
};

const jobFailureCodec: Codec<JobFailure> = {
  name: "job failure",
  encode: encodeJobFailure,
  decode: decodeJobFailure,
  arbitrary: fc.record({ blobId: anId, slot: fc.nat(20), reason: aText, atMs: fc.maxSafeNat() }),
  golden: [
    [
      { blobId: ID_A, slot: 1, reason: "no other node can take the copy now", atMs: MS },
      "0194c4100190f3a2b4c50011223344556677889901d9236e6f206f74686572206e6f64652063616e2074616b652074686520636f7079206e6f77cb427a3185c507b000",
    ],
  ],
};

const floorCodec: Codec<number> = {
  name: "session floor",
  encode: encodeFloor,
  decode: decodeFloor,
  arbitrary: fc.maxSafeNat(),
  golden: [
    [0, "019100"],
    [65_538, "0191ce00010002"],
  ],
};

const dyingCodec: Codec<Dying> = {
  name: "dying",
  encode: encodeDying,
  decode: decodeDying,
  arbitrary: aDying,
  golden: [
    [
      { kind: "copies", blobId: ID_A, copies: [LOCATION] },
      "019300c4100190f3a2b4c5001122334455667788999192c410ffeeddccbbaa00998877665544332211c4140000002a000102030405060708090a0b0c0d0e0f",
    ],
    [
      { kind: "part", partId: ID_A, extents: [{ blobId: ID_B, offset: 0, length: 10 }] },
      "019301c4100190f3a2b4c5001122334455667788999193c410ffeeddccbbaa00998877665544332211000a",
    ],
    [{ kind: "manifest", manifestId: ID_A }, "019202c4100190f3a2b4c500112233445566778899"],
    [{ kind: "bucket", bucketId: ID_A }, "019203c4100190f3a2b4c500112233445566778899"],
  ],
};

const pendingDeleteCodec: Codec<PendingDelete> = {
  name: "pending delete",
  encode: encodePendingDelete,
  decode: decodePendingDelete,
  arbitrary: aPendingDelete,
  golden: [[{ blobId: ID_A, sinceMs: MS }, "0192c4100190f3a2b4c500112233445566778899cb427a3185c507b000"]],
};

const copyCodec: Codec<CopyEntry> = {
  name: "copy",
  encode: encodeCopyEntry,
  decode: decodeCopyEntry,
  arbitrary: aCopyEntry,
  golden: [
    [{ blobId: ID_A, slot: 2, home: { kind: "own" } }, "0193c4100190f3a2b4c50011223344556677889902c0"],
    [
      { blobId: ID_A, slot: 0, home: { kind: "inline", bucketId: ID_B, key: "a/b" } },
      "0193c4100190f3a2b4c5001122334455667788990092c410ffeeddccbbaa00998877665544332211a3612f62",
    ],
  ],
};

const repairCodec: Codec<RepairEntry> = {
  name: "repair",
  encode: encodeRepairEntry,
  decode: decodeRepairEntry,
  arbitrary: aRepairEntry,
  golden: [
    [
      { home: { kind: "own" }, sinceMs: MS, notBeforeMs: MS + 60_000, attempts: 3 },
      "0194c0cb427a3185c507b000cb427a3185d3adb00003",
    ],
    [
      { home: { kind: "inline", bucketId: ID_B, key: "a/b" }, sinceMs: MS, notBeforeMs: MS, attempts: 0 },
      "019492c410ffeeddccbbaa00998877665544332211a3612f62cb427a3185c507b000cb427a3185c507b00000",
    ],
    [
      {
        home: { kind: "own" },
        sinceMs: MS,
        notBeforeMs: MS,
        attempts: 0,
        work: { state: "handoff", domain: "domain-a" },
      },
      "0196c0cb427a3185c507b000cb427a3185c507b0000002a8646f6d61696e2d61",
    ],
  ],
};

const deadLetterCodec: Codec<DeadLetter> = {
  name: "dead letter",
  encode: encodeDeadLetter,
  decode: decodeDeadLetter,
  arbitrary: aDeadLetter,
  golden: [
    [
      {
        home: { kind: "inline", bucketId: ID_B, key: "a/b" },
        sinceMs: MS,
        givenUpAtMs: MS,
        attempts: 12,
        errorKind: "io",
        errorMessage: "the disk is broken",
        node: "node-a1",
      },
      "019792c410ffeeddccbbaa00998877665544332211a3612f62cb427a3185c507b000cb427a3185c507b0000ca2696fb2746865206469736b2069732062726f6b656ea76e6f64652d6131",
    ],
  ],
};

const eventCodec: Codec<EventRecord> = {
  name: "event",
  encode: encodeEvent,
  decode: decodeEvent,
  arbitrary: anEvent,
  golden: [
    [
      { atMs: MS, kind: "NODE_OFFLINE", node: "n", domain: "d", cause: "why", gateway: "g/1" },
      "0196cb427a3185c507b000ac4e4f44455f4f46464c494e45a16ea164a3776879a3672f31",
    ],
    [
      { atMs: MS, kind: "DOMAIN_RECOVERED", cause: "", gateway: "g/1" },
      "0196cb427a3185c507b000b0444f4d41494e5f5245434f5645524544c0c0a0a3672f31",
    ],
  ],
};

const eventCursorCodec: Codec<number> = {
  name: "event cursor",
  encode: encodeEventCursor,
  decode: decodeEventCursor,
  arbitrary: aCount,
  golden: [[7, "019107"]],
};

const healthReportCodec: Codec<HealthReport> = {
  name: "health report",
  encode: encodeHealthReport,
  decode: decodeHealthReport,
  arbitrary: aHealthReport,
  golden: [[{ beat: 3, missed: new Map([[ID_A, 10]]) }, "0192039192c4100190f3a2b4c5001122334455667788990a"]],
};

const nodeCodec: Codec<NodeRecord> = {
  name: "node",
  encode: encodeNode,
  decode: decodeNode,
  arbitrary: aNodeRecord,
  golden: [
    [
      {
        uuid: ID_A,
        name: "node-a1",
        domain: "domain-a",
        homeDomain: "standby",
        weight: 100,
        acceptsWrites: true,
        physicalStorageId: "disk-7",
        host: "10.0.0.1",
        rack: "r1",
        diskType: "nvme",
        admitted: true,
        configured: false,
        decommissionedAtMs: MS,
      },
      "019fc4100190f3a2b4c500112233445566778899a76e6f64652d6131a8646f6d61696e2d61a77374616e64627964c3a66469736b2d37a831302e302e302e31a27231a46e766d65c3c2cb427a3185c507b000c0c0",
    ],
    [
      {
        uuid: ID_A,
        name: "node-a1",
        domain: "domain-a",
        homeDomain: "standby",
        weight: 100,
        acceptsWrites: true,
        physicalStorageId: "disk-7",
        host: "10.0.0.1",
        rack: "r1",
        diskType: "nvme",
        admitted: true,
        configured: false,
      },
      "019fc4100190f3a2b4c500112233445566778899a76e6f64652d6131a8646f6d61696e2d61a77374616e64627964c3a66469736b2d37a831302e302e302e31a27231a46e766d65c3c2c0c0c0",
    ],
  ],
};

const topologyCodec: Codec<TopologyRecord> = {
  name: "topology",
  encode: encodeTopology,
  decode: decodeTopology,
  arbitrary: aTopologyRecord,
  golden: [
    [
      {
        epoch: 3,
        virtualNodesPerNode: 150,
        domains: [{ name: "domain-a", role: "active", minNodes: 1, replicaCount: 2, acceptsWrites: true }],
        replication: {
          factor: 3,
          quorum: 2,
          domainChoice: "hash",
          degradedWrite: { enabled: true, minReplicas: 1, handoff: "any" },
        },
      },
      "019403cc969195a8646f6d61696e2d61a66163746976650102c3960302a468617368c301a3616e79",
    ],
  ],
};

const appliedFileCodec: Codec<ConfiguredTopology> = {
  name: "applied file",
  encode: encodeFile,
  decode: decodeFile,
  arbitrary: fc.record({ topology: aTopologyRecord, nodes: fc.array(aNodeRecord) }).map(({ topology, nodes }) => {
    const { epoch: _epoch, ...shape } = topology;
    const byName = new Map(nodes.map((node) => [node.name, node]));
    const sorted = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      ...shape,
      nodes: sorted.map(
        ({
          uuid: _uuid,
          homeDomain: _home,
          admitted: _admitted,
          configured: _configured,
          decommissionedAtMs: _away,
          ...node
        }) => node,
      ),
    };
  }),
  golden: [
    [
      {
        virtualNodesPerNode: 150,
        domains: [{ name: "domain-a", role: "active", minNodes: 1, replicaCount: 2, acceptsWrites: true }],
        replication: {
          factor: 3,
          quorum: 2,
          domainChoice: "hash",
          degradedWrite: { enabled: true, minReplicas: 1, handoff: "any" },
        },
        nodes: [
          {
            name: "a1",
            domain: "domain-a",
            weight: 100,
            acceptsWrites: true,
            physicalStorageId: "p1",
            host: "h1",
            rack: "r1",
            diskType: "ssd",
          },
          {
            name: "a2",
            domain: "domain-a",
            weight: 0,
            acceptsWrites: false,
            physicalStorageId: "p2",
            host: "h2",
            diskType: "unknown",
          },
        ],
      },
      "0194cc969195a8646f6d61696e2d61a66163746976650102c3960302a468617368c301a3616e799298a26131a8646f6d61696e2d6164c3a27031a26831a27231a373736498a26132a8646f6d61696e2d6100c2a27032a26832c0a7756e6b6e6f776e",
    ],
  ],
};

function testCodec<T>({ name, encode, decode, arbitrary, golden }: Codec<T>): void {
  test(`a ${name} record has the bytes that its format always had`, () => {
    for (const [record, hex] of golden) {
      assert.equal(encode(record).toString("hex"), hex);
      assert.deepEqual(plain(decode(Buffer.from(hex, "hex"))), plain(record));
    }
  });

  test(`a ${name} record comes back as it was`, () => {
    fc.assert(fc.property(arbitrary, (record) => assert.deepEqual(plain(decode(encode(record))), plain(record))));
  });

  test(`a ${name} record that lost its end, or is of a higher format, is refused`, () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), (record, cut) => {
        const value = encode(record);
        assert.throws(() => decode(value.subarray(0, cut % value.length)), RecordError);
        const higher = Buffer.from(value);
        higher[0] = (value[0] ?? 0) + 1;
        assert.throws(() => decode(higher), RecordError);
      }),
    );
  });

  test(`a ${name} record with a wrong byte is read as another or refused, never taken for a bug`, () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, where, flip) => {
        const value = Buffer.from(encode(record));
        const index = where % value.length;
        value[index] = (value[index] ?? 0) ^ flip;
        try {
          decode(value);
        } catch (error) {
          assert.ok(error instanceof RecordError, `${String(error)} is no RecordError`);
        }
      }),
    );
  });

  test(`a ${name} record keeps nothing of the bytes that it was read from`, () => {
    fc.assert(
      fc.property(arbitrary, (record) => {
        const value = encode(record);
        const decoded = decode(value);
        value.fill(0xff);
        assert.deepEqual(plain(decoded), plain(record));
      }),
    );
  });
}

/** Buffers and Uint8Arrays of the same bytes made equal. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

const policyHistoryCodec: Codec<readonly PastFactor[]> = {
  name: "policy history",
  encode: encodePolicyHistory,
  decode: decodePolicyHistory,
  arbitrary: fc.array(fc.record({ factor: fc.integer({ min: 1, max: 100 }), untilMs: fc.constant(MS) }), {
    maxLength: 16,
  }),
  golden: [
    [
      [
        { factor: 2, untilMs: MS },
        { factor: 3, untilMs: MS },
      ],
      "0191929202cb427a3185c507b0009203cb427a3185c507b000",
    ],
  ],
};

test("what a node record says at its end is absent from old ones", () => {
  const [, [record, hex] = assert.fail()] = nodeCodec.golden;
  // As they were written before: an array of 12 fields, without the three nulls.
  const old = Buffer.from(hex.slice(0, -6), "hex");
  old[1] = 0x9c;
  assert.deepEqual(plain(decodeNode(old)), plain(record));
  const { leaving, demotedFrom } = decodeNode(encodeNode({ ...record, leaving: true, demotedFrom: "d" }));
  assert.deepEqual([leaving, demotedFrom], [true, "d"]);
});

testCodec(policyHistoryCodec);
testCodec(blobCodec);
testCodec(versionCodec);
testCodec(partCodec);
testCodec(manifestCodec);
testCodec(uploadCodec);
testCodec(bucketCodec);
testCodec(pinCodec);
testCodec(clusterCodec);
testCodec(sessionCodec);
testCodec(leaderCodec);
testCodec(cursorCodec);
testCodec(floorCodec);
testCodec(jobCodec);
testCodec(jobFailureCodec);
testCodec(seenNodeCodec);
testCodec(liveLimitsCodec);
testCodec(dyingCodec);
testCodec(pendingDeleteCodec);
testCodec(copyCodec);
testCodec(repairCodec);
testCodec(deadLetterCodec);
testCodec(eventCodec);
testCodec(eventCursorCodec);
testCodec(healthReportCodec);
testCodec(nodeCodec);
testCodec(topologyCodec);
testCodec(appliedFileCodec);

test("a bucket of format 1, which had no flags, reads as one with none set", () => {
  const golden =
    "0195c4100190f3a2b4c500112233445566778899a670686f746f73cb427a3185c507b000a4726f6f74a965752d776573742d31";
  assert.deepEqual(decodeBucket(Buffer.from(golden, "hex")), {
    bucketId: ID_A,
    name: "photos",
    createdAtMs: MS,
    owner: "root",
    location: "eu-west-1",
    readRedirect: false,
  });
});

test("a record of more fields than the reader knows is read, one of fewer has nulls at its end", () => {
  const bucket = encodeRecord(1, [Buffer.from(ID_A, "hex"), "photos", MS, "root", "", "of a later version"]);
  assert.equal(decodeBucket(bucket).name, "photos");
  const reader = decodeRecord("test", encodeRecord(1, ["only"]), 1);
  assert.equal(reader.string(), "only");
  assert.equal(reader.optionalInt(), undefined);
  assert.throws(() => reader.string(), RecordError);
});

test("an empty value, and one that is no list of fields, is refused", () => {
  for (const hex of ["", "01", "01c0", "0180", "01a178"]) {
    assert.throws(() => decodeBucket(Buffer.from(hex, "hex")), RecordError, hex);
  }
});

test("a code that the reader does not know is refused", () => {
  assert.throws(() => decodeDying(encodeRecord(1, [4, Buffer.from(ID_A, "hex")])), RecordError);
  const slots = [[6, "d0", null]];
  assert.throws(
    () => decodeBlob(encodeRecord(1, [0, Buffer.from(ID_A, "hex"), 1, Buffer.alloc(4), slots])),
    RecordError,
  );
  assert.throws(() => decodeBlob(encodeRecord(1, [1, Buffer.from(ID_A, "hex"), 1, Buffer.alloc(4), []])), RecordError);
});

test("the largest records fit into a value", () => {
  const extent = { blobId: ID_A, offset: 2 ** 52, length: 2 ** 52 };
  const extents = Array.from({ length: EXTENTS_PER_PART_MAX }, () => extent);
  const part = { partId: ID_A, partNumber: 1, size: 2 ** 52, modifiedAtMs: MS, etag: "ab".repeat(16), extents };
  assert.ok(encodePart({ ...part, checksum: Buffer.alloc(32).toString("base64") }).length <= KV_VALUE_BYTES_MAX);
  assert.ok(encodeDying({ kind: "part", partId: ID_A, extents }).length <= KV_VALUE_BYTES_MAX);
  const runs = Array.from({ length: RUNS_PER_PAGE }, () => ({ firstPart: 9_999, count: 9_999, partSize: 2 ** 52 }));
  assert.ok(encodeManifestPage({ runs, pageCount: 5 }).length <= KV_VALUE_BYTES_MAX);
});

test("parts become runs of one size and consecutive numbers", () => {
  const parts = [
    { partNumber: 1, size: 5 },
    { partNumber: 2, size: 5 },
    { partNumber: 4, size: 5 },
    { partNumber: 5, size: 6 },
  ];
  assert.deepEqual(runsOf(parts), [
    { firstPart: 1, count: 2, partSize: 5 },
    { firstPart: 4, count: 1, partSize: 5 },
    { firstPart: 5, count: 1, partSize: 6 },
  ]);
  assert.deepEqual(runsOf([]), []);
});

test("a copy key carries its session and has 20 bytes", () => {
  fc.assert(
    fc.property(aCopyKey, (key) => {
      assert.equal(copyKeyFromBytes(copyKeyBytes(key)), key);
      assert.equal(copyKeyBytes(key).length, 20);
    }),
  );
  const random = seededRandom(1);
  for (const session of [1, 0x2a, SESSION_MAX]) {
    const key = newCopyKey(session, random);
    assert.match(key, /^[0-9a-f]{8}\/[0-9a-f]{32}$/);
    assert.equal(sessionOfCopyKey(key), session);
    assert.notEqual(newCopyKey(session, random), key);
  }
});
