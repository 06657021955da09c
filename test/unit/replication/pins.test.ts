import assert from "node:assert/strict";
import { test } from "node:test";
import { encodePin } from "../../../src/catalog/records/pin.ts";
import { pack } from "../../../src/catalog/tuple.ts";
import { DyingSweeper } from "../../../src/replication/reclaim/dying-sweeper.ts";
import {
  enterPin,
  listPins,
  PIN_MARGIN_MS,
  PINS_MAX,
  removePin,
  TooManyPinsError,
} from "../../../src/replication/reclaim/pins.ts";
import { idBytes } from "../../../src/shared/ids.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound } from "../../support/catalog-audit.ts";
import { answerAsS3, directWorld } from "../../support/direct.ts";
import { GRACE_MS, type InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { assertCode, at, type ObjectClient } from "../../support/object-client.ts";
import { once, openBox } from "../../support/open-box.ts";
import { changeSlot, copyCount, copyIn, rot } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const DAY_S = 86_400;
const DAY_MS = DAY_S * 1000;

interface World {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
}

async function openWorld(): Promise<World> {
  const { gateway, client } = await openBox();
  answerAsS3(gateway);
  await client.put("box/a", BYTES);
  return { gateway, client };
}

/** Gives out a URL of object `a` on a node. */
function giveUrl({ gateway }: World, expiresSeconds: number, key = "a"): Promise<{ pinId?: string; url: string }> {
  return directWorld(gateway).reads.nodeUrl({ ...at(`box/${key}`), method: "GET", expiresSeconds });
}

/** Lets time pass with a run of the sweeper before and after. */
async function pass(gateway: InMemoryGateway, ms: number): Promise<void> {
  await gateway.sweep();
  gateway.clock.advance(ms);
  await gateway.sweep();
}

test("a deleted object stays on its nodes while a URL of it lives, and the grace time after, then it goes", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  const { pinId } = await giveUrl(world, DAY_S);
  assert.ok(pinId !== undefined);
  await client.delete("box/a");
  await pass(gateway, DAY_MS + PIN_MARGIN_MS - 1);
  assert.equal(copyCount(gateway), 2);
  // The end is noticed now; what is left is told by commits.
  await pass(gateway, 1);
  await pass(gateway, GRACE_MS - 1);
  assert.equal(copyCount(gateway), 2);
  assert.deepEqual(
    (await listPins(gateway.kv)).map(({ ended }) => ended),
    [true],
  );
  await pass(gateway, 1);
  assert.equal(copyCount(gateway), 0);
  assert.deepEqual(await listPins(gateway.kv), []);
  await assertSound(gateway);
});

test("a pin survives a restart, and its end as well", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  await giveUrl(world, DAY_S);
  await client.delete("box/a");
  await gateway.restart();
  await pass(gateway, DAY_MS);
  assert.equal(copyCount(gateway), 2);
  await pass(gateway, PIN_MARGIN_MS);
  await gateway.restart();
  await pass(gateway, GRACE_MS - 1);
  assert.equal(copyCount(gateway), 2);
  await pass(gateway, GRACE_MS);
  assert.equal(copyCount(gateway), 0);
});

test("a wall clock that jumps ahead ends no pin", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  await giveUrl(world, DAY_S);
  await client.delete("box/a");
  let jumpMs = 0;
  const { catalog, members, openReads } = gateway.process;
  const clock = {
    nowMs: () => gateway.clock.nowMs() + jumpMs,
    monotonicMs: () => gateway.clock.monotonicMs(),
    startTimer: gateway.clock.startTimer.bind(gateway.clock),
  };
  const sweeper = new DyingSweeper({ catalog, members: () => members, openReads, clock, graceMs: GRACE_MS });
  jumpMs = 30 * DAY_MS;
  for (let run = 0; run < 3; run++) {
    await sweeper.run(new AbortController().signal);
    gateway.clock.advance(GRACE_MS);
  }
  assert.equal(copyCount(gateway), 2);
  assert.deepEqual(
    (await listPins(gateway.kv)).map(({ ended }) => ended),
    [false],
  );
});

test("a copy that a repair replaced stays where a URL leads to it", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  answerAsS3(gateway);
  await client.put("box/a", BYTES);
  const before = await copyIn(gateway, "a", 0);
  await giveUrl({ gateway, client }, DAY_S);
  await rot(gateway, "a", 0);
  gateway.members.scores.set(before.node.uuid, 0.1);
  assert.deepEqual(await client.get("box/a"), BYTES);
  await gateway.settle();
  await gateway.repair();
  assert.notEqual((await copyIn(gateway, "a", 0)).location.key, before.location.key);
  await gateway.sweepPastGrace();
  assert.ok(before.node.store.blobs.has(before.location.key));
  await pass(gateway, DAY_MS + PIN_MARGIN_MS);
  await gateway.sweepPastGrace();
  assert.ok(!before.node.store.blobs.has(before.location.key));
  assert.deepEqual(await client.get("box/a"), BYTES);
  await assertSound(gateway);
});

test("a pin that an operator removes holds nothing any longer", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  const { catalog } = gateway.process;
  const [first, second] = [await giveUrl(world, DAY_S), await giveUrl(world, DAY_S)];
  assert.notEqual(first.pinId, second.pinId, "URLs of one blob with one end have a pin each");
  await client.delete("box/a");
  await gateway.sweepPastGrace();
  assert.ok(await removePin(catalog, first.pinId ?? ""));
  await gateway.sweep();
  assert.equal(copyCount(gateway), 2);
  assert.ok(await removePin(catalog, second.pinId ?? ""));
  await gateway.sweep();
  assert.equal(copyCount(gateway), 0);
  for (const none of [first.pinId ?? "", "", "x", `${"0".repeat(32)}-1`, `${"0".repeat(32)}-99999999999999999999`]) {
    assert.ok(!(await removePin(catalog, none)));
  }
});

test("an ended pin and a pin of another blob hold nothing of what is alive or dead beside them", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  await giveUrl(world, DAY_S);
  await client.put("box/b", BYTES);
  await client.delete("box/b");
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 2);
  await pass(gateway, DAY_MS + PIN_MARGIN_MS);
  await gateway.sweepPastGrace();
  assert.deepEqual(await client.get("box/a"), BYTES);
});

test("a URL that the grace time outlasts needs no pin, any other does", async () => {
  const world = await openWorld();
  assert.equal((await giveUrl(world, 60)).pinId, undefined);
  assert.ok((await giveUrl(world, 61)).pinId !== undefined);
  const { reads } = directWorld(world.gateway, { graceMs: 0 });
  assert.ok((await reads.nodeUrl({ ...at("box/a"), method: "GET", expiresSeconds: 1 })).pinId !== undefined);
});

/** Does something after a node was asked for the copy and before the URL is made, once. */
function beforeCommit({ gateway }: World, action: () => Promise<void>): void {
  const act = once(action);
  for (const { control } of gateway.nodes.values()) {
    const { head } = control.hooks;
    control.hooks.head = async (key, under) => {
      const stat = await head?.(key, under);
      await act();
      return stat;
    };
  }
}

test("an object that is replaced while its URL is made: the URL is of the new one; deleted: there is none", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  const before = await copyIn(gateway, "a", 0);
  beforeCommit(world, async () => void (await client.put("box/a", patternBytes(500, 2))));
  const { url } = await giveUrl(world, DAY_S);
  assert.ok(!url.includes(before.location.key));
  assert.equal((await listPins(gateway.kv)).length, 1);
  beforeCommit(world, () => client.delete("box/a"));
  await assertCode(giveUrl(world, DAY_S), "no-such-key");
  assert.equal((await listPins(gateway.kv)).length, 1);
});

test("a copy that is replaced while its URL is made is not the one that the URL leads to", async () => {
  for (const shared of [false, true]) {
    const world = await openWorld();
    const { gateway, client } = world;
    if (shared) await client.copy("box/a", "box/b");
    gateway.members.scores.set(gateway.node("d0-0").uuid, 0.1);
    const { location } = await copyIn(gateway, "a", 0);
    beforeCommit(world, () => changeSlot(gateway, "a", 0, ({ domain }) => ({ state: "missing", domain })));
    const { url } = await giveUrl(world, DAY_S);
    assert.match(url, /^direct:d1-0/);
    assert.ok(!url.includes(location.key));
  }
});

test("a shared blob is pinned by its own record: a copy of the object that is deleted meanwhile takes nothing away", async () => {
  const world = await openWorld();
  const { gateway, client } = world;
  await client.copy("box/a", "box/b");
  await giveUrl(world, DAY_S, "b");
  await client.delete("box/a");
  await client.delete("box/b");
  await gateway.sweepPastGrace();
  assert.equal(copyCount(gateway), 2);
});

test("there are only so many pins", async () => {
  const { gateway } = await openWorld();
  const { catalog } = gateway.process;
  const location = { nodeUuid: "1".repeat(32), key: `00000001/${"2".repeat(32)}` };
  const pin = { createdAtMs: 0, bucket: "box", key: "a", location, ended: false };
  const value = encodePin(pin);
  const atomic = gateway.kv.atomic();
  for (let n = 1; n <= PINS_MAX; n++) atomic.set(pack(["pin", idBytes("3".repeat(32)), n]), value);
  await atomic.commit();
  await assert.rejects(
    enterPin(gateway.kv, catalog.begin(), { blobId: "3".repeat(32), untilMs: 1, pin }),
    TooManyPinsError,
  );
  assert.equal((await listPins(gateway.kv)).length, PINS_MAX);
});
