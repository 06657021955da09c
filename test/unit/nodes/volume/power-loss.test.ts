/**
 * Power is cut at a random moment of a random load, several times over one store. A seed gives one run; fast-check
 * prints it when it fails.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CopyKey, StorageNode } from "../../../../src/nodes/storage-node.ts";
import { NodeError } from "../../../../src/nodes/storage-node.ts";
import { openVolumeNode } from "../../../../src/nodes/volume/open-volume-node.ts";
import { type Random, seededRandom } from "../../../../src/shared/random.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes, streamOf } from "../../../support/blobs.ts";
import { CrashDisk } from "../../../support/crash-disk.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { MemoryIndex } from "../../../support/memory-index-store.ts";

const clusterId = "c".repeat(32);
const RUNS = 40;
const CRASHES = 4;
const OPERATIONS = 40;
const KIB = 1024;

interface Written {
  readonly key: CopyKey;
  readonly bytes: Uint8Array;
  state: "putting" | "put" | "deleting" | "deleted";
}

/** A gateway's work on a node, with a record of what was answered. */
class Load {
  readonly written: Written[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  async run(node: StorageNode): Promise<void> {
    const pick = this.#random.float();
    if (pick < 0.65) await this.#put(node, false);
    else if (pick < 0.75) await this.#put(node, true);
    else await this.#delete(node);
  }

  async #put(node: StorageNode, fails: boolean): Promise<void> {
    const random = this.#random;
    const sizes = [1, 100, 3000, 40 * KIB, 200 * KIB, 300 * KIB, 600 * KIB];
    const length = Math.floor((sizes[Math.floor(random.float() * sizes.length)] ?? 1) * (0.5 + random.float() / 2)) + 1;
    const key = copyKey(1, random);
    const bytes = patternBytes(length, this.written.length);
    const written: Written = { key, bytes, state: "putting" };
    this.written.push(written);
    const blocks = fails ? blocksOf(bytes).slice(0, -1) : blocksOf(bytes);
    const source = random.float() < 0.5 ? blocks : streamOf(blocks);
    try {
      await node.put({ key, header: headerFor(key, length, random, clusterId), blocks: source });
      written.state = "put";
    } catch (error) {
      assert.ok(fails && error instanceof NodeError && error.kind === "invalid", String(error));
    }
  }

  async #delete(node: StorageNode): Promise<void> {
    const put = this.written.filter(({ state }) => state === "put");
    const victim = put[Math.floor(this.#random.float() * put.length)];
    if (victim === undefined) return;
    victim.state = "deleting";
    await node.delete(victim.key);
    victim.state = "deleted";
  }
}

async function check(node: StorageNode, written: readonly Written[]): Promise<void> {
  for (const { key, bytes, state } of written) {
    const stat = await node.head(key);
    if (state === "put") assert.ok(stat, "an acknowledged blob is gone");
    if (state === "deleted") assert.equal(stat, undefined, "a deleted blob is back");
    if (stat === undefined) continue;
    assert.equal(stat.length, bytes.length);
    const read = await collect(await node.get(key, { start: 0, end: stat.length }));
    assert.ok(read.equals(bytes), "a blob that is listed has other bytes");
  }
}

async function withPowerCuts(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const disk = new CrashDisk(random);
  const index = new MemoryIndex();
  const load = new Load(random);
  const clock = new ManualClock();
  const open = (): Promise<StorageNode> =>
    openVolumeNode({
      name: "v",
      path: "/v",
      clusterId,
      clock,
      random,
      fileSystem: disk.mount(),
      openIndexStore: () => index.open(),
      limits: {
        volumeBytes: 2048 * KIB,
        prepareStepBytes: 64 * KIB,
        preparedBytesMin: 128 * KIB,
        deleteReserveBytes: 32 * KIB,
        freeReserveBytes: 0,
        syncEveryBytes: 256 * KIB,
        checkpointEntries: 7,
        openFilesMax: 2,
        compactionIntervalMs: 4000,
        compactionOpenDeadBytesMin: 32 * KIB,
        compactionBytesPerSecond: 0,
      },
    });
  for (let crash = 0; crash < CRASHES; crash++) {
    const node = await open();
    await check(node, load.written);
    const running = new Set<Promise<void>>();
    let failure: unknown;
    for (let operation = 0; operation < OPERATIONS * random.float(); operation++) {
      const work = load.run(node);
      running.add(work);
      work.then(
        () => running.delete(work),
        (error: unknown) => {
          failure ??= error;
        },
      );
      if (random.float() < 0.3) await Promise.race(running);
      if (random.float() < 0.1) clock.advance(5000);
    }
    for (let turns = Math.floor(random.float() * 30); turns > 0; turns--) await new Promise((r) => setImmediate(r));
    assert.ifError(failure);
    if (crash % 2 === 0) {
      disk.crash();
      index.crash();
    } else {
      await Promise.all(running);
      await node.close();
    }
    if (random.float() < 0.3) index.clear();
  }
  const node = await open();
  await check(node, load.written);
  await node.close();
}

test("whatever moment the power is cut at, acknowledged blobs are whole, deleted ones stay away, the rest is whole or absent", async () => {
  await fc.assert(fc.asyncProperty(fc.nat(), withPowerCuts), { numRuns: RUNS, endOnFailure: true });
});
