/** A wall clock that was ahead and is set back delays nothing by as much: neither deletions nor repairs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import { GRACE_MS } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { changeSlot, copyCount } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(600_000, 1));
const HOURS_MS = 5 * 3_600_000;
const MINUTE_MS = 60_000;

test("what died while the clock was ahead goes after its grace time, not before", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.clock.jump(HOURS_MS);
  await client.delete("box/a");
  gateway.clock.jump(-HOURS_MS);
  await gateway.sweep();
  gateway.clock.advance(GRACE_MS - 1);
  await gateway.sweep();
  assert.equal(copyCount(gateway), 2);
  gateway.clock.advance(1);
  await gateway.sweep();
  assert.equal(copyCount(gateway), 0);
  await assertSound(gateway);
});

test("a copy that came to be missing while the clock was ahead is made when it is set back", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.clock.jump(HOURS_MS);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  gateway.clock.jump(-HOURS_MS);
  await gateway.repair();
  await assertFullyRedundant(gateway);
});

test("a repair that failed while the clock was ahead waits for its time at most, once it is set back", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  const refuse = () => Promise.reject(new NodeError("io", "the disk is broken"));
  for (const node of gateway.nodes.values()) node.control.hooks.put = refuse;
  await gateway.repair();
  assert.equal(gateway.process.repairer.counts.failed, 1);
  await gateway.repair();
  assert.equal(gateway.process.repairer.counts.failed, 1, "it waits for its time");
  gateway.clock.jump(-MINUTE_MS / 2);
  for (const node of gateway.nodes.values()) node.control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
});
