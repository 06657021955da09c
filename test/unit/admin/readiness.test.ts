import assert from "node:assert/strict";
import { test } from "node:test";
import { type Readiness, readinessSchema } from "../../../src/admin/api-types.ts";
import { readiness } from "../../../src/admin/readiness.ts";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { adminContext } from "../../support/admin-context.ts";
import { type InMemoryGateway, openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";

/** The status as `200 ok`, and the reasons. */
async function look(
  gateway: InMemoryGateway,
  draining = false,
): Promise<{ status: string; reasons: Readiness["reasons"] }> {
  const { status, answer } = await readiness({ ...adminContext(gateway), draining: () => draining });
  assert.deepEqual(readinessSchema.parse(answer), answer);
  return { status: `${status} ${answer.status}`, reasons: answer.reasons };
}

test("a gateway all of whose nodes are there is ok, for no reason", async () => {
  assert.deepEqual(await look(await openInMemoryGateway()), { status: "200 ok", reasons: [] });
});

test("a node that is away or has no room degrades it, and the reason names the node", async () => {
  const gateway = await openInMemoryGateway({ nodesPerDomain: 2 });
  gateway.nodeDown("d0-1");
  gateway.members.setState(gateway.node("d1-0").uuid, "replaced");
  gateway.members.full.add(gateway.node("d1-1").uuid);
  const { status, reasons } = await look(gateway);
  assert.equal(status, "200 degraded");
  assert.deepEqual(reasons.toSorted(), [
    "node d0-1 is degraded",
    "node d1-0 is replaced",
    "node d1-1 has no room for new copies",
  ]);
});

test("a gateway that may be cut off is degraded and says that it does nothing about the nodes that it misses", async () => {
  const gateway = await openInMemoryGateway();
  const isolation = (): string => "2 of 2 nodes do not answer this gateway";
  const { answer } = await readiness({ ...adminContext(gateway), isolation, draining: () => false });
  assert.equal(answer.status, "degraded");
  assert.deepEqual(answer.reasons, [
    "this gateway may be cut off, and acts on no loss of a node: 2 of 2 nodes do not answer this gateway",
  ]);
});

test("without enough nodes for a write it is read-only, and serves clients all the same", async () => {
  const gateway = await openInMemoryGateway();
  gateway.nodeDown("d0-0");
  assert.equal((await look(gateway)).status, "200 degraded", "one copy is taken while there is no second node");
  gateway.nodeDown("d1-0");
  const { status, reasons } = await look(gateway);
  assert.equal(status, "200 read-only");
  assert.equal(reasons[0], "too few nodes accept writes");
  assert.equal(reasons.length, 3);
});

test("it is read-only exactly when a write is refused, whatever the policy", async () => {
  for (const enabled of [true, false]) {
    for (const minReplicas of [1, 2]) {
      for (const handoff of ["any", "active", "none"] as const) {
        for (const down of [
          [],
          ["d0-0"],
          ["d0-0", "d0-1"],
          ["d0-0", "d0-1", "d1-0"],
          ["d0-0", "d0-1", "d1-0", "d1-1"],
          ["d0-0", "d0-1", "d1-0", "d1-1", "d2-0"],
          ["d0-0", "d0-1", "d1-0", "d1-1", "d2-0", "d2-1"],
          ["d0-0", "d0-1", "d1-0", "d1-1", "d2-0", "d2-1", "standby-0"],
        ]) {
          const degradedWrite = { enabled, minReplicas, handoff };
          const { gateway, client } = await openBox({
            domains: 3,
            nodesPerDomain: 2,
            standbyNodes: 1,
            policy: { degradedWrite },
          });
          for (const name of down) gateway.nodeDown(name);
          const { status } = await look(gateway);
          const written = await client.put("box/a", Buffer.from("x")).then(
            () => true,
            () => false,
          );
          const facts = JSON.stringify({ degradedWrite, down });
          assert.equal(status === "200 read-only", !written, facts);
        }
      }
    }
  }
});

test("without an answer of the coordinator it is degraded: background work pauses, clients are served", async () => {
  const gateway = await openInMemoryGateway();
  const coordination = () => ({ kind: "redis", available: false, leader: false }) as const;
  const { status, answer } = await readiness({ ...adminContext(gateway), coordination, draining: () => false });
  assert.deepEqual([status, answer.status], [200, "degraded"]);
  assert.deepEqual(answer.reasons, ["the coordinator does not answer: background work pauses"]);
});

test("a gateway without its catalog, or on its way down, is not ready", async () => {
  const gateway = await openInMemoryGateway();
  assert.equal((await look(gateway, true)).status, "503 draining");
  const broken = (): Promise<void> => Promise.reject(new CatalogError("unavailable", "closed"));
  gateway.kv.hooks = { get: broken, list: broken };
  assert.equal((await look(gateway)).status, "503 no-catalog");
  gateway.kv.hooks = { list: broken };
  assert.equal((await look(gateway)).status, "200 ok", "all nodes are configured: nothing is to be listed");
});
