import assert from "node:assert/strict";
import { test } from "node:test";
import { isLocal } from "../../../../src/catalog/kv-atomic.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import {
  RestoreTimes,
  restoreTimesCodec,
  restoreTimesKey,
} from "../../../../src/replication/durability/restore-times.ts";
import { createBlobReader } from "../../../../src/replication/read/blob-reader.ts";
import { Repairer } from "../../../../src/replication/repair/repairer.ts";
import { patternBytes } from "../../../support/blobs.ts";
import type { InMemoryGateway } from "../../../support/in-memory-gateway.ts";
import { openBox } from "../../../support/open-box.ts";
import { changeSlot, copyIn } from "../../../support/slots.ts";

const MINUTE_MS = 60_000;

function timesOf({ process: { catalog }, clock }: InMemoryGateway): RestoreTimes {
  return new RestoreTimes({ catalog, clock });
}

test("nothing is made up before a copy was made anew", async () => {
  const { gateway } = await openBox();
  const times = timesOf(gateway);
  await times.save();
  assert.equal(times.mean, undefined);
});

test("the mean is of lost copies alone, from when their loss was on record", async () => {
  const { gateway } = await openBox();
  const times = timesOf(gateway);
  const nowMs = gateway.clock.nowMs();
  times.restored("missing", nowMs - MINUTE_MS);
  times.restored("corrupt", nowMs - 3 * MINUTE_MS);
  times.restored("handoff", 0);
  times.restored("unverified", undefined);
  assert.deepEqual(times.mean, { count: 2, meanMs: 2 * MINUTE_MS });
  times.restored("unverified", nowMs - 2 * MINUTE_MS);
  assert.deepEqual(times.mean, { count: 3, meanMs: 2 * MINUTE_MS });
  // A clock that was set back.
  times.restored("missing", nowMs + MINUTE_MS);
  assert.ok((times.mean?.meanMs ?? 0) > 0);
});

test("older times fade, so that the mean follows what repair has come to", async () => {
  const { gateway } = await openBox();
  const times = timesOf(gateway);
  for (let i = 0; i < 1_000; i++) times.restored("missing", gateway.clock.nowMs() - MINUTE_MS);
  for (let i = 0; i < 1_000; i++) times.restored("missing", gateway.clock.nowMs() - 10 * MINUTE_MS);
  assert.ok((times.mean?.meanMs ?? 0) > 9.9 * MINUTE_MS);
});

test("what was measured outlives a restart, and joins what is measured before it was read", async () => {
  const { gateway } = await openBox();
  const times = timesOf(gateway);
  await times.save();
  times.restored("missing", gateway.clock.nowMs() - MINUTE_MS);
  await times.save();
  await gateway.restart();
  const after = timesOf(gateway);
  after.restored("missing", gateway.clock.nowMs() - 3 * MINUTE_MS);
  await after.save();
  assert.deepEqual(after.mean, { count: 2, meanMs: 2 * MINUTE_MS });
  await gateway.restart();
  const third = timesOf(gateway);
  await third.save();
  assert.deepEqual(third.mean, { count: 2, meanMs: 2 * MINUTE_MS });
});

/** What repair tells of each slot that it makes good. */
async function repairWith(gateway: InMemoryGateway, times: RestoreTimes): Promise<void> {
  const { catalog, ledger, discarder, members } = gateway.process;
  const { clock, random } = gateway;
  const membersNow = (): typeof members => members;
  const limits = { hedgeDelayMs: 250, stallTimeoutMs: 10_000 };
  const repairer = new Repairer({
    catalog,
    members: membersNow,
    reader: createBlobReader({ members: membersNow, clock, random, limits, onDamage: () => {} }),
    ledger,
    discard: discarder.discard,
    clock,
    random,
    logger: silentLogger,
    onRestored: (cause, _bytes, sinceMs) => times.restored(cause, sinceMs),
  });
  await repairer.run(new AbortController().signal);
}

test("repair tells how long a copy had been missing when it stood again", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", patternBytes(1_000, 1));
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  gateway.clock.advance(5 * MINUTE_MS);
  const times = timesOf(gateway);
  await repairWith(gateway, times);
  assert.deepEqual(times.mean, { count: 1, meanMs: 5 * MINUTE_MS });
});

test("a doubtful copy that was only checked is no restored one, but one whose node is gone is", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  await client.put("box/a", patternBytes(1_000, 1));
  const doubt = (): Promise<void> =>
    changeSlot(gateway, "a", 1, ({ domain, location }) => ({
      state: "unverified",
      domain,
      ...(location === undefined ? {} : { location }),
    }));
  await doubt();
  const times = timesOf(gateway);
  await repairWith(gateway, times);
  assert.equal(times.mean, undefined);
  await doubt();
  gateway.members.setState((await copyIn(gateway, "a", 1)).node.uuid, "replaced");
  gateway.clock.advance(MINUTE_MS);
  await repairWith(gateway, times);
  assert.deepEqual(times.mean, { count: 1, meanMs: MINUTE_MS });
});

test("the record is byte for byte as docs/formats.md says, and this store's own", () => {
  const mean = { count: 300, meanMs: 12_345 };
  assert.equal(Buffer.from(restoreTimesCodec.encode(mean)).toString("hex"), "0192cd012ccd3039");
  assert.deepEqual(restoreTimesCodec.decode(restoreTimesCodec.encode(mean)), mean);
  assert.equal(Buffer.from(restoreTimesKey()).toString("hex"), "026d7064626d0002736674757073662e756a6e667400");
  assert.ok(isLocal(restoreTimesKey()));
});
