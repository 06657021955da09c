/** The scrub follows the members: nodes that come are scrubbed, those that leave are left alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Members } from "../../../src/cluster/members.ts";
import { Scrubbing } from "../../../src/replication/scrub/scrubbing.ts";
import { patternBytes } from "../../support/blobs.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { DAY_MS, NO_LIMITS, scrubDeps } from "../../support/scrub.ts";

test("a node that comes is compared and scrubbed, one that leaves is not any more, the others go on", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", Buffer.from(patternBytes(1_000, 1)));
  const told: string[] = [];
  const { limits: _limits, ...deps } = scrubDeps(gateway, told);
  const { members } = gateway;
  const all = [...members.all()];
  let shown = all.slice(0, 1);
  const follows: Members = {
    topology: members.topology,
    placement: members.placement,
    get: (uuid) => members.get(uuid),
    all: () => shown,
    acceptsWrites: (uuid) => members.acceptsWrites(uuid),
    servesReads: (uuid) => members.servesReads(uuid),
    isLost: (uuid) => members.isLost(uuid),
    preference: (uuid) => members.preference(uuid),
    onOnline: (listener) => members.onOnline(listener),
  };
  const comparison = { enabled: true, intervalMs: DAY_MS };
  const scrubbing = new Scrubbing({ ...deps, members: () => follows, scrub: NO_LIMITS, comparison });
  scrubbing.start();
  const names = async (): Promise<string[]> => (await scrubbing.report()).map(({ node }) => node);
  assert.deepEqual(await names(), ["d0-0"]);
  shown = all;
  scrubbing.follow();
  assert.deepEqual(await names(), ["d0-0", "d1-0"]);
  scrubbing.request("d1-0");
  for (let passed = 0; passed < 5_000; passed += 500) {
    gateway.clock.advance(500);
    await turns(10);
  }
  assert.deepEqual(told, ["verified d1-0 1000"]);
  const timers = gateway.clock.timers;
  shown = all.slice(1);
  assert.deepEqual(await names(), ["d1-0"]);
  await turns(10);
  assert.ok(gateway.clock.timers < timers, "its workers have ended");
  assert.equal(scrubbing.request("d0-0"), false);
  await scrubbing[Symbol.asyncDispose]();
  assert.equal(gateway.clock.timers, 0);
});
