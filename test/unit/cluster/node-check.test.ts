import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeIdentity, writeIdentityDocument } from "../../../src/cluster/identity.ts";
import { type CheckResult, checkNode } from "../../../src/cluster/node-check.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import {
  type CopyKey,
  NodeError,
  type NodeErrorKind,
  type ProbeDepth,
  type ProbeFinding,
} from "../../../src/nodes/storage-node.ts";
import { ControlledNode } from "../../support/controlled-node.ts";

const KEY = Buffer.alloc(32, 1);
const EXPECTED = { clusterId: "c".repeat(32), nodeUuid: "1".repeat(32) };
const OWN = writeIdentityDocument(EXPECTED, KEY);
const FOREIGN = writeIdentityDocument({ ...EXPECTED, nodeUuid: "2".repeat(32) }, KEY);

const PASSED: ProbeFinding = { check: "reach", passed: true };
const NO_BUCKET: ProbeFinding = { check: "bucket-exists", passed: false, reason: "the bucket does not exist" };

interface Scene {
  readonly admitted: boolean;
  /** What lies on the node as its identity. */
  readonly document?: Uint8Array;
  /** Whether the cluster knows the other node that it may say to be. */
  readonly known?: boolean;
  readonly blobs?: readonly CopyKey[];
  /** What its probes find. */
  readonly reach?: readonly ProbeFinding[];
  readonly admission?: readonly ProbeFinding[];
  /** What its probes throw. */
  readonly error?: Error;
}

interface Checked {
  readonly result: CheckResult;
  readonly probes: readonly ProbeDepth[];
  /** The identity on the node afterwards. */
  readonly document: Uint8Array | undefined;
}

async function check(scene: Scene): Promise<Checked> {
  const store = new MemoryStore();
  store.identity = scene.document;
  const node = new ControlledNode(openMemoryNode({ name: "node", clusterId: EXPECTED.clusterId, store }));
  const probes: ProbeDepth[] = [];
  node.hooks.probe = async (depth) => {
    probes.push(depth);
    if (scene.error !== undefined) throw scene.error;
    return (depth === "reach" ? scene.reach : scene.admission) ?? [PASSED];
  };
  for (const key of scene.blobs ?? []) store.add(key, { blobId: "b".repeat(32), bytes: Buffer.of(1) });
  const { admitted, known = true } = scene;
  const result = await checkNode(node, EXPECTED, { clusterKey: KEY, admitted, isKnown: async () => known });
  return { result, probes, document: store.identity };
}

test("a node that was never admitted goes through admission and gets our identity", async () => {
  const { result, probes, document } = await check({ admitted: false });
  assert.deepEqual(result, { seen: "answered", admittedNow: true });
  assert.deepEqual(probes, ["reach", "admission"]);
  assert.ok(document !== undefined);
  assert.deepEqual(judgeIdentity(document, EXPECTED, KEY), { kind: "same" });
});

test("a node with our identity whose admission was not recorded goes through admission again, and keeps its identity", async () => {
  const { result, probes, document } = await check({ admitted: false, document: OWN });
  assert.deepEqual(result, { seen: "answered", admittedNow: true });
  assert.deepEqual(probes, ["reach", "admission"]);
  assert.equal(document, OWN);
});

test("an admitted node with our identity is online without further ado", async () => {
  const { result, probes } = await check({ admitted: true, document: OWN });
  assert.deepEqual([result, probes], [{ seen: "answered" }, ["reach"]]);
});

test("an admitted node without identity was replaced, and is left as it is", async () => {
  const { result, probes, document } = await check({ admitted: true });
  assert.equal(result.seen, "identity-gone");
  assert.match(result.reason ?? "", /identity/);
  assert.deepEqual([probes, document], [["reach"], undefined]);
});

test("a bucket that is missing is what admission makes on a fresh node, and a replaced node on an admitted one", async () => {
  const fresh = await check({ admitted: false, reach: [NO_BUCKET] });
  assert.deepEqual(fresh.result, { seen: "answered", admittedNow: true });
  assert.deepEqual(fresh.probes, ["reach", "admission"]);
  const admitted = await check({ admitted: true, reach: [NO_BUCKET] });
  assert.deepEqual(admitted.result, { seen: "identity-gone", reason: "its bucket is gone" });
  assert.deepEqual([admitted.probes, admitted.document], [["reach"], undefined]);
});

test("a node with another identity is refused, admitted or not, and neither probed nor written further", async () => {
  const garbage = Buffer.from("something else");
  for (const admitted of [true, false]) {
    for (const document of [FOREIGN, garbage, writeIdentityDocument(EXPECTED, Buffer.alloc(32, 9))]) {
      const checked = await check({ admitted, document });
      assert.equal(checked.result.seen, "identity-wrong");
      assert.notEqual(checked.result.reason, undefined);
      assert.deepEqual([checked.probes, checked.document], [["reach"], document]);
    }
  }
});

test("a node that got its identity from a commit that never came to be is admitted anew, unless it has blobs", async () => {
  const journal = `00000000/01${"0".repeat(30)}`;
  const abandoned = { admitted: false, document: FOREIGN, known: false };
  const { result, document } = await check({ ...abandoned, blobs: [journal] });
  assert.deepEqual(result, { seen: "answered", admittedNow: true });
  assert.deepEqual(document && judgeIdentity(document, EXPECTED, KEY), { kind: "same" });

  const refused = [
    { ...abandoned, blobs: [`00000001/${"0".repeat(32)}`] },
    { ...abandoned, admitted: true },
    { ...abandoned, document: writeIdentityDocument({ ...EXPECTED, clusterId: "d".repeat(32) }, KEY) },
    { ...abandoned, document: writeIdentityDocument({ ...EXPECTED, nodeUuid: "2".repeat(32) }, Buffer.alloc(32, 2)) },
  ];
  for (const scene of refused) {
    const seen = await check(scene);
    assert.equal(seen.result.seen, "identity-wrong");
    assert.deepEqual(seen.document, scene.document);
  }
});

test("a node that fails admission is refused by name of what failed, and gets no identity", async () => {
  const admission: ProbeFinding[] = [
    PASSED,
    { check: "versioning-off", passed: false, reason: "versioning is on" },
    { check: "no-lock", passed: false },
  ];
  const { result, document } = await check({ admitted: false, admission });
  assert.deepEqual(result, { seen: "identity-wrong", reason: "versioning-off: versioning is on; no-lock" });
  assert.equal(document, undefined);
});

test("a node that goes away during admission is silent, not refused", async () => {
  const admission: ProbeFinding[] = [{ check: "reach", passed: false, reason: "no answer" }];
  const { result, document } = await check({ admitted: false, admission });
  assert.deepEqual(result, { seen: "silent", reason: "reach: no answer" });
  assert.equal(document, undefined);
});

test("what the first look finds decides what it is taken for", async () => {
  for (const [findings, seen] of [
    [[{ check: "reach", passed: false }], "silent"],
    [[PASSED, { check: "access", passed: false, reason: "403" }], "denied"],
    [
      [
        { check: "access", passed: false },
        { check: "reach", passed: false },
      ],
      "silent",
    ],
    [[PASSED, { check: "clock-skew", passed: false }], "identity-wrong"],
  ] as const) {
    for (const admitted of [true, false]) {
      const { result } = await check({ admitted, reach: findings, document: OWN });
      assert.equal(result.seen, seen);
    }
  }
});

test("what a node throws decides what it is taken for, with the reason for the operator", async () => {
  const kinds: [NodeErrorKind, CheckResult["seen"]][] = [
    ["unreachable", "silent"],
    ["timeout", "silent"],
    ["busy", "busy"],
    ["aborted", "silent"],
    ["io", "silent"],
    ["full", "busy"],
    ["read-only", "busy"],
    ["access-denied", "denied"],
    ["refused", "identity-wrong"],
    ["corrupt", "identity-wrong"],
    ["not-found", "identity-gone"],
  ];
  for (const [kind, seen] of kinds) {
    const { result } = await check({ admitted: true, error: new NodeError(kind, "why") });
    assert.deepEqual(result, { seen, reason: "why" }, kind);
  }
  await assert.rejects(check({ admitted: true, error: new TypeError("a bug") }), TypeError);
});
