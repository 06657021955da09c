import assert from "node:assert/strict";
import { test } from "node:test";
import type { Blob } from "../../../src/catalog/records/blob.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { BLOCK_BYTES, NodeError } from "../../../src/nodes/storage-node.ts";
import { type CopyVerdict, verifyCopy } from "../../../src/replication/verify-copy.ts";
import { packCrcs } from "../../../src/replication/write/block-assembler.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { blocksOf, copyKey, headerFor, patternBytes } from "../../support/blobs.ts";
import { type ReadScript, ScriptedReads } from "../../support/scripted-node.ts";

const CLUSTER = "c".repeat(32);

async function makeCopy(length: number) {
  const random = seededRandom(length);
  const store = new MemoryStore();
  const under = openMemoryNode({ name: "node", clusterId: CLUSTER, store });
  const key = copyKey(1, random);
  const blocks = blocksOf(patternBytes(length, 3));
  await under.put({ key, header: headerFor(key, length, random, CLUSTER), blocks });
  const blockCrcs = packCrcs(blocks.map((block) => block.crc32c));
  const blob: Blob = { blobId: "b".repeat(32), length, blockCrcs, slots: [] };
  const reads = new ScriptedReads(under);
  const verify = (script?: ReadScript, signal?: AbortSignal): Promise<CopyVerdict> => {
    reads.script = script;
    return verifyCopy(reads.node, blob, signal === undefined ? { key } : { key, signal });
  };
  return { verify, reads, store };
}

const LENGTHS = [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7];

test("a copy whose blocks are all there and right is good", async () => {
  for (const length of LENGTHS) {
    const { verify, reads } = await makeCopy(length);
    assert.equal(await verify(), "good");
    assert.equal(reads.letGo, 0);
  }
});

test("a copy with one wrong byte is corrupt, wherever the byte is", async () => {
  for (const length of LENGTHS) {
    const { verify, reads } = await makeCopy(length);
    for (const afterBytes of new Set([0, Math.floor(length / 2), length - 1])) {
      assert.equal(await verify({ fault: "flip a byte", afterBytes }), "corrupt");
    }
    assert.equal(reads.open, 0);
  }
});

test("a copy that is shorter than its record is corrupt, whether or not the node notices", async () => {
  for (const length of LENGTHS.slice(1)) {
    const { verify } = await makeCopy(length);
    assert.equal(await verify({ fault: "end", afterBytes: length - 1 }), "corrupt");
    assert.equal(await verify({ fault: "end", afterBytes: 1 }), "corrupt");
    const error = new NodeError("corrupt", "fewer bytes than asked for");
    assert.equal(await verify({ fault: "fail", afterBytes: 1, error }), "corrupt");
  }
  const { verify } = await makeCopy(2 * BLOCK_BYTES);
  assert.equal(await verify({ fault: "end", afterBytes: BLOCK_BYTES }), "corrupt");
});

test("a copy that its node is certain not to hold is lost", async () => {
  const { verify, store } = await makeCopy(10);
  store.blobs.clear();
  assert.equal(await verify(), "lost");
});

test("nothing is said of a copy whose node does not answer to the end", async () => {
  const { verify } = await makeCopy(2 * BLOCK_BYTES);
  for (const kind of ["unreachable", "timeout", "busy", "access-denied", "io"] as const) {
    const error = new NodeError(kind, "no");
    await assert.rejects(verify({ fault: "fail", afterBytes: 0, error }), error);
    await assert.rejects(verify({ fault: "fail", afterBytes: BLOCK_BYTES + 1, error }), error);
  }
});

test("the signal ends the check", async () => {
  const { verify, reads } = await makeCopy(2 * BLOCK_BYTES);
  const abort = new AbortController();
  const verdict = verify({ fault: "stall", afterBytes: BLOCK_BYTES }, abort.signal);
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  await assert.rejects(verdict, (error) => error instanceof NodeError && error.kind === "aborted");
  assert.equal(reads.open, 0);
});
