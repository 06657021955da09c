/**
 * Many operations on few objects at the same time, their commits and puts shuffled by a seed: that nothing is lost or
 * left over, that no object mixes the bytes of two, and that nobody waits for ever.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { ObjectError, type ObjectErrorCode } from "../../../src/objects/api.ts";
import { type Random, seededRandom } from "../../../src/shared/random.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import { type InMemoryGateway, openInMemoryGateway, turns } from "../../support/in-memory-gateway.ts";
import { ObjectClient } from "../../support/object-client.ts";
import { World } from "./object-model.ts";
import { anOp, type Op } from "./object-ops.ts";

/** What an operation may fail with because another one came first. */
const LOST_RACES: ReadonlySet<ObjectErrorCode> = new Set([
  "no-such-bucket",
  "bucket-exists",
  "bucket-not-empty",
  "no-such-key",
  "no-such-upload",
  "invalid-part",
  "part-too-small",
  "invalid-range",
]);

/** Makes commits and puts wait for a few turns each. */
function shuffle({ kv, nodes }: InMemoryGateway, random: Random): void {
  const wait = (): Promise<void> => turns(Math.floor(random.float() * 4));
  kv.hooks.commit = async (_, pass) => {
    await wait();
    return pass();
  };
  kv.hooks.list = wait;
  for (const { control } of nodes.values()) {
    control.hooks.put = async (request, pass) => {
      await wait();
      return pass(request);
    };
  }
}

async function runLoosely(world: World, op: Op): Promise<void> {
  if ("upload" in op && !world.uploads.has(op.upload)) return;
  try {
    await world.perform(op);
  } catch (error) {
    if (!(error instanceof ObjectError) || !(LOST_RACES.has(error.code) || mayConflict(op, error))) throw error;
  }
}

/** Whether the operation is one that does not start over by itself. */
function mayConflict(op: Op, { code }: ObjectError): boolean {
  const ontoItself = op.op === "copy" && op.from === op.to;
  return code === "conflict" && (ontoItself || op.op === "start upload" || op.op === "delete bucket");
}

/** Every object's bytes have the digest that its ETag states. */
async function assertWhole({ client, gateway }: World): Promise<void> {
  const { versions, buckets, parts } = await assertSound(gateway);
  for (const [place, version] of versions) {
    const [bucketId = "", key = ""] = place.split("/");
    const bytes = await client.get(`${buckets.get(bucketId)}/${key}`);
    assert.equal(bytes.length, version.size);
    if (!version.etag.includes("-")) {
      assert.equal(md5(bytes).toString("hex"), version.etag, `the bytes of ${key}`);
      continue;
    }
    assert.ok(version.content.kind === "manifest");
    const { manifestId } = version.content;
    const own = [...parts].filter(([at]) => at.startsWith(`${manifestId}/`)).map(([, part]) => part);
    let start = 0;
    for (const { size, etag } of own.sort((a, b) => a.partNumber - b.partNumber)) {
      assert.equal(md5(bytes.subarray(start, start + size)).toString("hex"), etag, `a part of ${key}`);
      start += size;
    }
    const digests = md5(Buffer.from(own.map(({ etag }) => etag).join(""), "hex")).toString("hex");
    assert.equal(`${digests}-${own.length}`, version.etag);
  }
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

const batches = fc.array(fc.array(anOp, { minLength: 2, maxLength: 8 }), { minLength: 2, maxLength: 6 });

/** Each batch at the same time, and a look at everything after each. */
async function runBatches(world: World, drawn: readonly (readonly Op[])[]): Promise<void> {
  const { gateway } = world;
  for (const batch of drawn) {
    // A restart in the midst of others is another matter.
    const together = batch.filter(({ op }) => op !== "restart");
    await Promise.all(together.map((op) => runLoosely(world, op)));
    await gateway.settle();
    await assertWhole(world);
  }
  for (const bucket of [...(await assertSound(gateway)).buckets.values()]) {
    await Promise.all((await world.client.keys(bucket)).map((key) => world.client.delete(`${bucket}/${key}`)));
    await world.client.service.deleteBucket(bucket);
  }
  await gateway.quiesce();
  await assertNothingLeft(gateway);
}

test("operations at the same time leave whole objects and a sound catalog, and when all is deleted nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), batches, async (seed, drawn) => {
      const gateway = await openInMemoryGateway({ seed });
      const world = new World(gateway, new ObjectClient(() => gateway.service));
      await world.createBuckets();
      shuffle(gateway, seededRandom(seed + 1));
      await runBatches(world, drawn);
    }),
    { numRuns: 40 },
  );
});

test("so do operations of two processes, whose commits meet nowhere but in the catalog", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), batches, async (seed, drawn) => {
      const gateway = await openInMemoryGateway({ seed });
      const random = seededRandom(seed + 1);
      const peer = await gateway.peer();
      const world = new World(gateway, new ObjectClient(() => (random.float() < 0.5 ? gateway.service : peer.service)));
      await world.createBuckets();
      shuffle(gateway, random);
      await runBatches(world, drawn);
    }),
    { numRuns: 40 },
  );
});
