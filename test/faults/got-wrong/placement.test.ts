/** What the earlier system got wrong of where copies go (G13, G18 of the design), on real MinIO servers. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { metric, nodeReport } from "../../support/admin.ts";
import { eventually } from "../../support/eventually.ts";
import { overSharedServers, PATIENCE, type Site } from "../../support/minio-site.ts";

const onMinio = overSharedServers(4);
const CROWDED_HASH = pathToFileURL(resolve(import.meta.dirname, "../../support/crowded-hash.mjs")).href;

async function untilAway(site: Site, name: string): Promise<void> {
  await eventually(`${name} is away`, PATIENCE, async () => {
    assert.equal((await nodeReport(site.gateway, name)).state, "unreachable");
  });
}

onMinio(
  "G13: with factor 2 all of four domains take copies",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["c", "c1"],
      ["d", "d1"],
    ],
    storage: { replication: { factor: 2 } },
  },
  async (site) => {
    await site.putMany(64, 2_000);
    await site.assertExact(2);
    const held: number[] = [];
    for (const { name } of site.nodes) held.push((await site.blobsOn(name)).size);
    // A quarter of 128 each, give or take more than chance would.
    assert.ok(Math.min(...held) > 12, held.join(", "));
  },
);

onMinio(
  "G13: while two nodes accept writes two copies are acknowledged, though both are in one domain; with one node, one",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["b", "b2"],
    ],
  },
  async (site) => {
    // The first of these writes find it gone; the others know it.
    await site.kill("a1");
    await site.putMany(12, 20_000);
    await untilAway(site, "a1");
    await site.putMany(12, 20_000, "later-");
    for (const name of ["b1", "b2"]) assert.equal((await site.blobsOn(name)).size, 24, name);
    assert.equal(await metric(site.gateway, "bulkhead_writes_total", { acknowledgement: "degraded" }), 24);
    await site.kill("b2");
    await untilAway(site, "b2");
    await site.put("alone", 20_000);
    assert.equal((await site.blobsOn("b1")).size, 25);
    await site.readAll();
  },
);

onMinio(
  "G18: on a ring whose virtual nodes nearly all collide no node is lost: each stands in when those before it are gone",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["a", "a2"],
      ["a", "a3"],
    ],
    env: { NODE_OPTIONS: `--import=${CROWDED_HASH}` },
  },
  async (site) => {
    const left = new Set(["a1", "a2", "a3"]);
    for (let round = 0; round < 3; round++) {
      await site.putMany(12, 2_000, `round-${round}-`);
      const taken = new Map<string, number>();
      for (const [key, copies] of await site.copies()) {
        if (!key.startsWith(`round-${round}-`)) continue;
        const inA = copies.find(({ domain }) => domain === "a");
        assert.equal(inA?.state, "ok", `${key} has no copy in its domain although ${[...left].join(", ")} are there`);
        taken.set(inA.node ?? "", (taken.get(inA.node ?? "") ?? 0) + 1);
      }
      if (round === 2) break;
      const [busiest = ""] = [...taken].sort(([, one], [, other]) => other - one)[0] ?? [];
      assert.ok(left.delete(busiest), busiest);
      await site.kill(busiest);
      await untilAway(site, busiest);
    }
    await site.readAll();
  },
);
