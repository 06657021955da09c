/**
 * Random operations while nodes go down, come back, fail, lose answers and rot: I1, I3, I4, I5. At the end, with all
 * nodes up and background work done, every acknowledged object has its bytes and all its copies, and nothing else is
 * anywhere.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { ObjectError } from "../../../src/objects/api.ts";
import { type Random, seededRandom } from "../../../src/shared/random.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertNothingLeft, assertSound, liveBlobs } from "../../support/catalog-audit.ts";
import {
  type GatewayOptions,
  type InMemoryGateway,
  openInMemoryGateway,
  turns,
} from "../../support/in-memory-gateway.ts";
import { ObjectClient } from "../../support/object-client.ts";

type Step =
  | { readonly do: "put"; readonly key: string; readonly size: number; readonly seed: number }
  | { readonly do: "copy"; readonly key: string; readonly to: string }
  | { readonly do: "delete" | "get"; readonly key: string }
  /** `down`: known to be; `fails`: not known to be; `flaky`: some calls go wrong, some after they were carried out. */
  | { readonly do: "down" | "fails" | "flaky" | "up"; readonly node: number }
  | { readonly do: "rot"; readonly key: string; readonly slot: number }
  | { readonly do: "background" | "wait" | "restart" };

const KEYS = ["a", "b", "c", "d"];
const aKey = fc.constantFrom(...KEYS);
const aNode = fc.nat(11);
const aSize = fc.constantFrom(1, 5_000, 300_000, 1_300_000, 2_500_000);

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("put" as const), key: aKey, size: aSize, seed: fc.nat(1_000) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("copy" as const), key: aKey, to: aKey }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), key: aKey }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("get" as const), key: aKey }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("down", "fails", "flaky"), node: aNode }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant("up" as const), node: aNode }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rot" as const), key: aKey, slot: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("background", "wait", "restart") }) },
);

class FaultyWorld {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
  /** What was acknowledged. */
  readonly objects = new Map<string, Buffer>();
  readonly #random: Random;
  /** Blobs of which a copy has rotted, noticed or not: one more could be the last. */
  readonly #rotten = new Set<string>();

  constructor(gateway: InMemoryGateway, random: Random) {
    this.gateway = gateway;
    this.client = new ObjectClient(() => gateway.service);
    this.#random = random;
  }

  async run(step: Step): Promise<void> {
    const { gateway, client, objects } = this;
    switch (step.do) {
      case "put": {
        const bytes = Buffer.from(patternBytes(step.size, step.seed));
        if (await this.#succeeds(client.put(`box/${step.key}`, bytes))) objects.set(step.key, bytes);
        return;
      }
      case "copy": {
        const source = objects.get(step.key);
        if (source === undefined || step.key === step.to) return;
        if (await this.#succeeds(client.copy(`box/${step.key}`, `box/${step.to}`))) objects.set(step.to, source);
        return;
      }
      case "delete":
        await client.delete(`box/${step.key}`);
        objects.delete(step.key);
        return;
      case "get":
        return this.#get(step.key);
      case "rot":
        return this.#rot(step.key, step.slot);
      case "background":
        await gateway.repair();
        await gateway.carryOutPendingDeletes();
        await gateway.sweepPastGrace();
        return;
      case "wait":
        gateway.clock.advance(120_000);
        return gateway.settle();
      case "restart":
        return gateway.restart();
      default:
        return this.#setNode(step.do, step.node);
    }
  }

  /** Ends all faults and lets background work do its part. */
  async recover(): Promise<void> {
    const { gateway } = this;
    for (const { name, control } of gateway.nodes.values()) {
      control.hooks = {};
      gateway.nodeUp(name);
    }
    await gateway.settle();
    // What a write that failed left behind may be known to its process alone.
    await gateway.restart();
    await gateway.collectOrphans();
    await gateway.quiesce();
  }

  /** Whether the call was acknowledged. Too few nodes are no failure of the test. */
  async #succeeds(call: Promise<unknown>): Promise<boolean> {
    try {
      await this.gateway.whileTimePasses(call, 500);
      return true;
    } catch (error) {
      if (error instanceof ObjectError && error.code === "not-enough-copies") return false;
      throw error;
    }
  }

  async #get(key: string): Promise<void> {
    const expected = this.objects.get(key);
    try {
      const bytes = await this.gateway.whileTimePasses(this.client.get(`box/${key}`), 500);
      assert.ok(expected !== undefined && bytes.equals(expected), `the bytes of ${key}`);
    } catch (error) {
      // A body that cannot be read on fails with what its blob's reader says.
      const code = error instanceof ObjectError ? error.code : error instanceof Error ? error.name : "";
      if (code !== (expected === undefined ? "no-such-key" : "unavailable") && code !== "BlobUnavailableError")
        throw error;
    }
  }

  /** Flips a byte of one copy, of a blob that has another good one. */
  async #rot(key: string, slot: number): Promise<void> {
    const contents = await assertSound(this.gateway).catch(() => undefined);
    if (contents === undefined) return;
    const [bucketId] = contents.buckets.keys();
    const version = contents.versions.get(`${bucketId}/${key}`);
    if (version?.content.kind !== "inline") return;
    const { blob } = version.content;
    const location = blob.slots[slot % blob.slots.length]?.location;
    const good = blob.slots.filter(({ state }) => state === "ok" || state === "handoff").length;
    if (location === undefined || good < 2 || this.#rotten.has(blob.blobId)) return;
    this.#rotten.add(blob.blobId);
    const stored = this.gateway.nodeOf(location.nodeUuid).store.blobs.get(location.key);
    if (stored !== undefined) stored.bytes[0] = (stored.bytes[0] ?? 0) ^ 1;
  }

  #setNode(what: "down" | "fails" | "flaky" | "up", index: number): void {
    const { gateway } = this;
    const nodes = [...gateway.nodes.values()];
    const { name, control } = nodes[index % nodes.length] ?? assert.fail();
    if (what === "flaky") this.#makeFlaky(name);
    else if (what === "down") gateway.nodeDown(name);
    else if (what === "fails") gateway.nodeFails(name);
    else {
      control.hooks = {};
      gateway.nodeUp(name);
    }
  }

  #makeFlaky(name: string): void {
    const { hooks } = this.gateway.node(name).control;
    const random = this.#random;
    const fault = (): void => {
      const kind = random.float() < 0.5 ? "timeout" : "io";
      if (random.float() < 0.3) throw new NodeError(kind, "a fault of the test");
    };
    const wait = (): Promise<void> => turns(Math.floor(random.float() * 5));
    hooks.put = async (request, pass) => {
      fault();
      await wait();
      const receipt = await pass(request);
      await wait();
      fault();
      return receipt;
    };
    hooks.delete = async (key, pass) => {
      fault();
      await pass(key);
      fault();
    };
    hooks.get = async ({ key, range, signal }, pass) => {
      fault();
      await wait();
      return pass(key, range, signal);
    };
  }
}

async function survives(options: GatewayOptions, steps: readonly Step[]): Promise<void> {
  const seed = options.seed ?? 0;
  const gateway = await openInMemoryGateway(options);
  const world = new FaultyWorld(gateway, seededRandom(seed + 1));
  await world.client.createBucket("box");
  for (const step of steps) await world.run(step);
  await world.recover();
  assert.deepEqual(await world.client.keys("box"), [...world.objects.keys()].sort());
  for (const [key, bytes] of world.objects) {
    assert.ok((await world.client.get(`box/${key}`)).equals(bytes), `the bytes of ${key}`);
  }
  // A copy that rotted unnoticed is found by reading, and then replaced.
  for (const { blobId, slots } of liveBlobs(await assertSound(gateway)).values()) {
    assert.ok(slots.length > 0, `blob ${blobId} has no slots`);
  }
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  for (const key of world.objects.keys()) await world.client.delete(`box/${key}`);
  await world.client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
}

const steps = fc.array(aStep, { minLength: 5, maxLength: 50, size: "max" });
/** Bodies are held in memory whole. */
const HELD = { bufferBytes: 1_048_576 };

test("two domains survive any faults of their nodes: I1, I3, I4, I5", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, (seed, drawn) =>
      survives({ seed, domains: 2, nodesPerDomain: 2, limits: HELD }, drawn),
    ),
    { numRuns: 40 },
  );
});

test("three domains with a standby node survive any faults of their nodes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, (seed, drawn) =>
      survives({ seed, domains: 3, nodesPerDomain: 2, standbyNodes: 1, limits: HELD }, drawn),
    ),
    { numRuns: 40 },
  );
});

test("bodies that are streamed survive any faults of the nodes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, (seed, drawn) => survives({ seed, domains: 3, segmentBytes: 2 ** 26 }, drawn)),
    { numRuns: 40 },
  );
});
