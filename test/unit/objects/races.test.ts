/** Calls that meet in the middle of each other: what the one in the middle may not break (I3, I7). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode, bodyOf, ObjectClient } from "../../support/object-client.ts";
import { MIB, once, openBox } from "../../support/open-box.ts";

const SMALL = Buffer.from(patternBytes(1_000, 1));
const OTHER = Buffer.from(patternBytes(900, 2));
const LARGE = Buffer.from(patternBytes(2 * MIB, 3));

/** Something happens once, while a body is on its way to the nodes. */
function whilePutting({ nodes }: InMemoryGateway, action: () => Promise<unknown>): void {
  const first = once(async () => {
    await action();
  });
  for (const { control } of nodes.values()) {
    control.hooks.put = async (request, pass) => {
      await first();
      return pass(request);
    };
  }
}

test("of conditional creations at the same time exactly one succeeds, in one process and in two", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  const other = new ObjectClient(() => peer.service);
  for (let round = 0; round < 10; round++) {
    const bodies = [1, 2, 3, 4].map((seed) => patternBytes(100 + seed, seed));
    const puts = bodies.map((bytes, index) =>
      (index % 2 === 0 ? client : other).put(`box/k${round}`, bytes, { conditions: { ifNoneMatch: "*" } }),
    );
    const outcomes = await Promise.allSettled(puts);
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
    assert.equal(winners.length, 1);
    assert.ok((await client.get(`box/k${round}`)).equals(bodies[winners[0] ?? 0] ?? SMALL));
  }
  await gateway.quiesce();
  await assertSound(gateway);
});

test("a counter that is kept by If-Match loses no increment", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  await client.put("box/n", Buffer.from("0"));
  const increment = async (by: ObjectClient): Promise<void> => {
    for (;;) {
      const { etag } = (await by.head("box/n")).object;
      const value = Number((await by.get("box/n", { conditions: { ifMatch: [etag] } }).catch(() => "NaN")).toString());
      if (Number.isNaN(value)) continue;
      try {
        await by.put("box/n", Buffer.from(String(value + 1)), { conditions: { ifMatch: etag } });
        return;
      } catch {
        // Another one came first.
      }
    }
  };
  const clients = [client, new ObjectClient(() => peer.service)];
  await Promise.all(Array.from({ length: 24 }, (_, i) => increment(clients[i % 2] ?? client)));
  assert.equal((await client.get("box/n")).toString(), "24");
});

test("a part that comes while its upload is completed or aborted is refused, and leaves nothing", async () => {
  for (const end of ["complete", "abort", "delete the bucket"] as const) {
    const { gateway, client } = await openBox();
    const upload = await client.createUpload("box/a");
    const part = await client.part(upload, 1, SMALL);
    whilePutting(gateway, async () => {
      if (end === "complete") await client.complete(upload, [part]);
      else if (end === "abort") await client.abort(upload);
      else await client.service.deleteBucket("box");
    });
    // An upload in a deleted bucket goes on until the sweeper comes by.
    const late = client.part(upload, 2, LARGE);
    if (end === "delete the bucket") await late;
    else await assertCode(late, "no-such-upload");
    for (const { control } of gateway.nodes.values()) control.hooks = {};
    await gateway.quiesce();
    await assertSound(gateway);
    if (end === "complete") {
      assert.deepEqual(await client.get("box/a"), SMALL);
      assert.equal(gateway.node("d0-0").store.blobs.size, 1);
    } else assert.equal(gateway.node("d0-0").store.blobs.size, 0);
  }
});

test("a completion that meets a new part of a listed number takes the parts that it was told of, or none", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  const other = new ObjectClient(() => peer.service);
  const upload = await client.createUpload("box/a");
  const first = await client.part(upload, 1, patternBytes(PART_BYTES_MIN, 1));
  const last = await client.part(upload, 2, SMALL);
  gateway.kv.hooks.commit = async (_, pass) => {
    gateway.kv.hooks = {};
    await other.part(upload, 2, OTHER);
    return pass();
  };
  await assertCode(client.complete(upload, [first, last]), "invalid-part");
  await assertCode(client.get("box/a"), "no-such-key");
  const again = await client.part(upload, 2, SMALL);
  gateway.kv.hooks.commit = async (_, pass) => {
    gateway.kv.hooks = {};
    await other.part(upload, 3, OTHER);
    return pass();
  };
  await client.complete(upload, [first, again]);
  assert.deepEqual((await client.get("box/a")).subarray(PART_BYTES_MIN), SMALL);
  await gateway.quiesce();
  assert.equal((await assertSound(gateway)).parts.size, 2);
});

test("an upload is started in the bucket that there is, never in one that goes at that moment", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  gateway.kv.hooks.commit = async (_, pass) => {
    gateway.kv.hooks = {};
    await peer.service.deleteBucket("box");
    return pass();
  };
  await assertCode(client.createUpload("box/a"), "no-such-bucket");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("an object is put into the bucket that there was when the put began, or nowhere", async () => {
  for (const again of [false, true]) {
    const { gateway, client } = await openBox();
    whilePutting(gateway, async () => {
      await client.service.deleteBucket("box");
      if (again) await client.createBucket("box");
    });
    await assertCode(client.put("box/a", LARGE), "no-such-bucket");
    if (again) {
      assert.deepEqual(await client.keys("box"), []);
      await client.service.deleteBucket("box");
    }
    await gateway.quiesce();
    await assertNothingLeft(gateway);
  }
});

test("a bucket that gets an object while it is deleted stays", async () => {
  const { gateway, client } = await openBox();
  const peer = await gateway.peer();
  gateway.kv.hooks.commit = async (_, pass) => {
    gateway.kv.hooks = {};
    await new ObjectClient(() => peer.service).put("box/a", SMALL);
    return pass();
  };
  await assertCode(client.service.deleteBucket("box"), "bucket-not-empty");
  assert.deepEqual(await client.get("box/a"), SMALL);
});

test("an overwrite that comes while a longer one is on its way is overwritten by it, and both leave no trace", async () => {
  const { gateway, client } = await openBox();
  whilePutting(gateway, () => client.put("box/a", SMALL));
  await client.put("box/a", bodyOf(LARGE));
  assert.ok((await client.get("box/a")).equals(LARGE));
  await gateway.quiesce();
  await assertSound(gateway);
  assert.equal(gateway.node("d0-0").store.blobs.size, 2);
});
