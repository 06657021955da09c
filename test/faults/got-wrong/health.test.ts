/** What the earlier system got wrong of failing nodes and promotion (G10, G14 of the design), on real MinIO servers. */
import assert from "node:assert/strict";
import { metric, type NodeReport, nodeReport } from "../../support/admin.ts";
import { eventually } from "../../support/eventually.ts";
import { overSharedServers, PATIENCE, type Site } from "../../support/minio-site.ts";

const onMinio = overSharedServers(3);

interface Event {
  readonly kind: string;
  readonly node: string | null;
}

async function eventsOf(site: Site, node: string): Promise<string[]> {
  const path = "/api/v1/storage/cluster/events?after=0&limit=1000";
  const { events } = (await site.gateway.admin(path)) as { readonly events: readonly Event[] };
  return events.filter((event) => event.node === node).map(({ kind }) => kind);
}

interface Promotions {
  readonly epoch: number;
  readonly nodes: readonly { readonly node: string; readonly state: string; readonly domain: string }[];
}

async function promotionsOf({ gateway }: Site): Promise<Promotions> {
  return (await gateway.admin("/api/v1/storage/cluster/promotions")) as Promotions;
}

async function acceptsWrites({ gateway }: Site, name: string): Promise<boolean> {
  return ((await nodeReport(gateway, name)) as NodeReport & { readonly accepts_writes: boolean }).accepts_writes;
}

onMinio(
  "G10: a failed probe starts neither migration nor promotion; a promotion lasts over the death of the gateway",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["standby", "s1"],
    ],
    storage: {
      health: { "interval-seconds": 2, decommission: false },
      promotion: { "interval-seconds": 1, "hysteresis-seconds": 6, "cool-down-seconds": 1 },
    },
  },
  async (site) => {
    const { gateway } = site;
    await site.putMany(12, 20_000);
    const before = await site.blobsOn("a1");
    const { proxy } = site.node("a1");
    for (let round = 0; round < 2; round++) {
      proxy.cut();
      await eventually("a probe is missed", { ...PATIENCE, intervalMs: 20 }, async () => {
        assert.equal(await metric(gateway, "s3_node_missed_probes", { node: "a1" }), 1);
      });
      proxy.mend();
      await eventually("the next one is not", PATIENCE, async () => {
        assert.equal(await metric(gateway, "s3_node_missed_probes", { node: "a1" }), 0);
        assert.equal(await acceptsWrites(site, "a1"), true);
      });
    }
    assert.deepEqual(await eventsOf(site, "a1"), ["NODE_ADDED", "NODE_ONLINE"]);
    assert.deepEqual(
      (await promotionsOf(site)).nodes.map(({ state }) => state),
      ["standby"],
    );
    assert.deepEqual([await site.blobsOn("a1"), (await site.blobsOn("s1")).size], [before, 0]);

    await site.kill("a1");
    await eventually("the standby node is promoted", PATIENCE, async () => {
      assert.equal((await promotionsOf(site)).nodes[0]?.state, "promoted");
    });
    const promoted = await promotionsOf(site);
    await gateway.kill9();
    await gateway.start();
    assert.deepEqual(await promotionsOf(site), promoted);
    await eventually("it has the copies of the domain", PATIENCE, () => site.assertExact(2, ["a1"]));
    await gateway.restart();
    assert.deepEqual(await promotionsOf(site), promoted);
    await site.readAll();
  },
);

onMinio(
  "G14: a node that denies access is neither offline nor lost; a full one gets no copies, and serves what it has",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["a", "a2"],
    ],
  },
  async (site) => {
    const { gateway } = site;
    const { proxy } = site.node("a1");
    await site.putMany(30, 20_000);
    const before = await site.blobsOn("a1");
    assert.ok(before.size > 0);
    proxy.faults = { answer: { methods: /./, status: "403 Forbidden", code: "AccessDenied" } };
    await eventually("it is known to deny access", PATIENCE, async () => {
      assert.equal((await nodeReport(gateway, "a1")).state, "access-denied");
    });
    const probes = (): Promise<number> =>
      metric(gateway, "s3_node_operations_total", { node: "a1", operation: "probe" });
    // Ten in a row without an answer would lose a node.
    const until = (await probes()) + 12;
    await eventually("it was probed many times", PATIENCE, async () => assert.ok((await probes()) >= until));
    assert.equal((await nodeReport(gateway, "a1")).state, "access-denied");
    assert.equal(await restored(site), 0);
    for (const copies of (await site.copies()).values()) assert.ok(copies.every(({ state }) => state === "ok"));
    await site.readAll();
    proxy.faults = {};
    await eventually("it lets us in again", PATIENCE, async () => {
      assert.equal((await nodeReport(gateway, "a1")).state, "online");
    });
    assert.deepEqual(await eventsOf(site, "a1"), ["NODE_ADDED", "NODE_ONLINE", "NODE_ACCESS_DENIED", "NODE_ONLINE"]);
    assert.deepEqual(await site.blobsOn("a1"), before, "nothing was made anew");

    proxy.faults = { answer: { methods: /^PUT$/, status: "507 Insufficient Storage", code: "XMinioStorageFull" } };
    await site.putMany(20, 20_000, "full-");
    await eventually("it is known to be full", PATIENCE, async () => {
      assert.deepEqual([(await nodeReport(gateway, "a1")).state, await acceptsWrites(site, "a1")], ["online", false]);
    });
    const tried = await metric(gateway, "s3_node_operations_total", { node: "a1", operation: "put", outcome: "full" });
    assert.ok(tried < 10, `${tried} copies were sent to a node that has no room`);
    await site.assertExact(2);
    assert.deepEqual(await site.blobsOn("a1"), before);
    await site.kill("b1");
    await site.readAll();
  },
);

function restored({ gateway }: Site): Promise<number> {
  return metric(gateway, "bulkhead_repair_attempts_total", { outcome: "restored" });
}
