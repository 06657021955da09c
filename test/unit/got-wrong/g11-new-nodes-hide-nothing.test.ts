/** G11: a new node hid 1/N of a domain's keys, and copies written by fallback could not be read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addNode, setNode } from "../../../src/cluster/change-nodes.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { idSource } from "../../../src/shared/ids.ts";
import { patternBytes } from "../../support/blobs.ts";
import { ControlledNode } from "../../support/controlled-node.ts";
import { openBox } from "../../support/open-box.ts";

const OBJECTS = 60;
const bytesOf = (number: number): Buffer => Buffer.from(patternBytes(500, number));

test("G11: with new nodes in the ring every object is read by its record, from where its copies are", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  for (let i = 0; i < OBJECTS; i++) await client.put(`box/${i}`, bytesOf(i));
  const { catalog } = gateway.process;
  const ids = idSource(gateway.clock, gateway.random);
  for (const name of ["d0-new", "d1-new"]) {
    const node = {
      name,
      domain: name.slice(0, 2),
      weight: 300,
      acceptsWrites: true,
      physicalStorageId: name,
      host: name,
      diskType: "ssd",
    } as const;
    const uuid = await addNode(catalog, { node, connection: () => Buffer.from("none") }, ids);
    const store = new MemoryStore();
    const control = new ControlledNode(openMemoryNode({ name, clusterId: catalog.clusterId, store }));
    gateway.nodes.set(name, { name, domain: node.domain, uuid, store, control });
  }
  await setNode(catalog, "d0-0", { weight: 0 });
  // A process that goes by the new rings, in which most keys belong to nodes that never had them.
  await gateway.restart();
  const { placement } = gateway.members;
  const fresh = [...gateway.nodes.values()].filter(({ name }) => name.endsWith("new")).map(({ uuid }) => uuid);
  const planned = Array.from({ length: OBJECTS }, (_, i) => placement.plan({ key: String(i), writable: () => true }));
  assert.ok(planned.some(({ slots }) => slots.some(({ candidates: [first = ""] }) => fresh.includes(first))));
  for (let i = 0; i < OBJECTS; i++) assert.deepEqual(await client.get(`box/${i}`), bytesOf(i), `object ${i}`);
  assert.equal((await client.keys("box")).length, OBJECTS);
});

test("G11: a copy that was handed off to another domain or to standby is on record and read", async () => {
  const { gateway, client } = await openBox({ standbyNodes: 1 });
  gateway.nodeDown("d1-0");
  await client.put("box/a", bytesOf(1));
  // Only the copy that was handed off is left to be read.
  gateway.nodeDown("d0-0");
  assert.deepEqual(await client.get("box/a"), bytesOf(1));
});
