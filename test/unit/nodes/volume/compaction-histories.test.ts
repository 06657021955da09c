/** Random histories of puts, deletions, compactions, power cuts and lost indexes over one store. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { recordBytes } from "../../../../src/nodes/volume/layout.ts";
import type { VolumeNode } from "../../../../src/nodes/volume/volume-node.ts";
import { type Random, seededRandom } from "../../../../src/shared/random.ts";
import { assertContents, NodeOnDisk } from "../../../support/compacted-node.ts";
import { holds, putBlob, type StoredBlob } from "../../../support/volume-node.ts";

const RUNS = 25;
const ROUNDS = 8;
const KIB = 1024;
const SIZES = [100, 5 * KIB, 60 * KIB, 90 * KIB, 400 * KIB];
/** Operations on the disk after which the power is cut, at most. */
const CUT_MAX = 150;

const pick = (random: Random, end: number): number => Math.floor(random.float() * end);

class History {
  readonly #random: Random;
  readonly #store: NodeOnDisk;
  kept: StoredBlob[] = [];
  readonly deleted: StoredBlob[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#store = new NodeOnDisk(seed);
  }

  async round(): Promise<void> {
    const random = this.#random;
    let node = await this.#store.open({ checkpointEntries: 1 + pick(random, 40) });
    await assertContents(node, this);
    await Promise.all(Array.from({ length: pick(random, 40) }, () => this.#put(node)));
    const share = random.float() < 0.3 ? 0.9 : 0.3 * random.float();
    const compacting = random.float() < 0.5 ? node.compact() : Promise.resolve();
    await Promise.all([this.#deleteSome(node, share), this.#readSome(node), this.#put(node), this.#put(node)]);
    await compacting;
    if (random.float() < 0.3) await assertContents(node, this);
    if (random.float() < 0.5) {
      await this.#compactAndCut(node);
    } else {
      await node.compact();
      assertUsage(node, this.kept);
      await node.close();
    }
    if (random.float() < 0.4) this.#store.index.clear();
    node = await this.#store.open();
    assertUsage(node, this.kept);
    await node.close();
  }

  async #put(node: VolumeNode): Promise<void> {
    const size = SIZES[pick(this.#random, SIZES.length)] ?? 1;
    this.kept.push(await putBlob(node, 1 + pick(this.#random, size)));
  }

  async #readSome(node: VolumeNode): Promise<void> {
    for (const blob of this.kept.filter(() => this.#random.float() < 0.3)) assert.ok(await holds(node, blob));
  }

  async #deleteSome(node: VolumeNode, share: number): Promise<void> {
    const victims = this.kept.filter(() => this.#random.float() < share);
    this.kept = this.kept.filter((blob) => !victims.includes(blob));
    // One by one or together: tombstones of their own, or in common.
    if (this.#random.float() < 0.5) await Promise.all(victims.map(({ key }) => node.delete(key)));
    else for (const { key } of victims) await node.delete(key);
    this.deleted.push(...victims);
  }

  async #compactAndCut(node: VolumeNode): Promise<void> {
    const cut = Promise.withResolvers<void>();
    let left = 1 + pick(this.#random, CUT_MAX);
    this.#store.disk.fault = () => {
      if (--left !== 0) return;
      this.#store.crash();
      cut.resolve();
    };
    await Promise.race([node.compact(), cut.promise]);
    this.#store.disk.fault = () => {};
    if (left > 0) this.#store.crash();
  }
}

/** The live bytes that the index counts are those of the records of the blobs that live. */
function assertUsage(node: VolumeNode, kept: readonly StoredBlob[]): void {
  const live = kept.reduce((sum, { bytes }) => sum + recordBytes(bytes.length), 0);
  assert.equal(node.usage().liveBytes, live);
}

test("whatever is put, deleted, compacted and cut off, what lives is whole, what was deleted stays away, and both are counted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const history = new History(seed);
      for (let round = 0; round < ROUNDS; round++) await history.round();
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});
