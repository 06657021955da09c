/** What the earlier system got wrong of repair (G4, G12, G17 of the design), on real MinIO servers that are looked at directly. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeRepairEntry, encodeRepairEntry } from "../../../src/catalog/blobs.ts";
import { repairRange } from "../../../src/catalog/keys.ts";
import { openLmdbKv } from "../../../src/catalog/lmdb/lmdb-kv.ts";
import { locate, metric } from "../../support/admin.ts";
import { change } from "../../support/change-cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { bulkhead } from "../../support/job-client.ts";
import { BUCKET, overSharedServers, PATIENCE, type Site } from "../../support/minio-site.ts";

const onMinio = overSharedServers(4);
/** A node that takes its canaries, and no copies. */
const REFUSING = { methods: /^PUT$/, paths: /\/blobs\//, status: "500 Internal Server Error", code: "InternalError" };

function restored(site: Site): Promise<number> {
  return metric(site.gateway, "bulkhead_repair_attempts_total", { outcome: "restored" });
}

onMinio(
  "G4: repair makes as many copies as the factor says, once, however often it is begun and however long it holds its lock",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["c", "c1"],
      ["a", "a2"],
    ],
    storage: {
      replication: { factor: 2 },
      // It takes longer than its lock lives, and is begun again every second.
      repair: { "rate-limit-per-second": 1 },
      consistency: { repair: { cron: "* * * * * ?", "lock-timeout-seconds": 10 } },
    },
  },
  async (site) => {
    await site.putMany(32, 20_000);
    const lost = (await site.blobsOn("a1")).size;
    await site.kill("a1");
    await eventually("all copies are on nodes that are there", PATIENCE, async () => {
      await change(site.gateway, "POST repair");
      await site.assertExact(2, ["a1"]);
    });
    assert.equal(await restored(site), lost);
    await site.readAll();
  },
);

onMinio(
  "G12: a copy that is late after the quorum is neither cancelled nor made anew; one that did not come is made",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
      ["c", "c1"],
    ],
    storage: { replication: { quorum: 2 } },
  },
  async (site) => {
    const { gateway } = site;
    const { proxy } = site.node("c1");
    const stateOfLate = async (key: string): Promise<string | undefined> =>
      (await locate(gateway, BUCKET, key)).flat().find(({ domain }) => domain === "c")?.state;
    const onLate = (name: string): Promise<number> => metric(gateway, name, { node: "c1", operation: "put" });
    const before = await onLate("s3_node_bytes_total");
    proxy.faults = { bytesPerSecond: 60_000 };
    await site.put("late", 300_000);
    assert.equal(await stateOfLate("late"), "missing", "the write was answered by its quorum");
    await eventually("it has arrived", PATIENCE, async () => {
      await change(gateway, "POST repair");
      assert.equal(await stateOfLate("late"), "ok");
    });
    proxy.faults = {};
    await eventually("nothing is on its way any more", PATIENCE, async () => {
      assert.equal(await metric(gateway, "s3_node_operations_in_flight", { node: "c1" }), 0);
    });
    const sent = (await onLate("s3_node_bytes_total")) - before;
    assert.ok(sent >= 300_000 && sent < 500_000, `${sent} bytes were sent: nothing was to be sent twice`);
    assert.equal(await restored(site), 0, "nothing was made anew");
    await site.assertExact(3);

    proxy.faults = { answer: REFUSING };
    await site.put("refused", 300_000);
    assert.equal(await stateOfLate("refused"), "missing");
    proxy.faults = {};
    await eventually("it was made", PATIENCE, async () => {
      await change(gateway, "POST repair");
      await site.assertExact(3);
    });
    assert.equal(await restored(site), 1);
    await site.readAll();
  },
);

/** Has the copies that wait for repair have failed so often, as they have after hours. The gateway must not run. */
async function putAttemptsOnRecord(dataDir: string, attempts: number): Promise<void> {
  const kv = await openLmdbKv({ folder: join(dataDir, "catalog") });
  try {
    const entries = await kv.list(repairRange(), { limit: 10 });
    assert.equal(entries.length, 1, "one copy waits for repair");
    for (const { key, value } of entries) {
      const entry = { ...decodeRepairEntry(value), attempts, notBeforeMs: 0 };
      await kv.atomic().set(key, encodeRepairEntry(entry)).commit();
    }
  } finally {
    await kv.close();
  }
}

onMinio(
  "G17: backlog, attempts and dead letters are told by metrics and commands, and dead letters are replayed",
  {
    nodes: [
      ["a", "a1"],
      ["b", "b1"],
    ],
  },
  async (site) => {
    const { gateway } = site;
    const backlog = (kind: string): Promise<number> => metric(gateway, "bulkhead_backlog", { kind });
    site.node("b1").proxy.faults = { answer: REFUSING };
    await site.put("k", 50_000);
    await eventually("an attempt has failed", PATIENCE, async () => {
      assert.equal(await backlog("missing"), 1);
      assert.notEqual(await metric(gateway, "bulkhead_repair_attempts_total", { outcome: "failed" }), 0);
    });
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    assert.match(text, /^bulkhead_oldest_missing_copy_seconds \d/m);

    await gateway.stop();
    await putAttemptsOnRecord(gateway.dataDir, 11);
    await gateway.start();
    await eventually("it was given up", PATIENCE, async () => {
      assert.deepEqual([await backlog("missing"), await backlog("dead-letter")], [0, 1]);
    });
    assert.equal(await metric(gateway, "bulkhead_repair_attempts_total", { outcome: "dead-letter" }), 1);
    assert.match(gateway.output, /a repair was given up: it is a dead letter now/);
    const { dead_letters } = (await bulkhead(gateway, "repair", "dead-letters")) as {
      readonly dead_letters: readonly Record<string, unknown>[];
    };
    const { attempts, key, node, domain } = dead_letters[0] ?? {};
    assert.deepEqual({ attempts, key, node, domain }, { attempts: 12, key: "k", node: "b1", domain: "b" });

    site.node("b1").proxy.faults = {};
    await bulkhead(gateway, "repair", "dead-letters", "replay");
    await eventually("it is made", PATIENCE, () => site.assertExact(2));
    await eventually("and told so", PATIENCE, async () => assert.equal(await backlog("dead-letter"), 0));
    await site.readAll();
  },
);
