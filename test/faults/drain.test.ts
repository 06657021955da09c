/** A node is left by real processes under load, the gateway killed on the way. A domain: scenario-leave-domain. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { locate } from "../support/admin.ts";
import { storageOver } from "../support/clusters.ts";
import { startGateway } from "../support/gateway.ts";
import { bulkhead, type JobReport, jobMoved, jobOver } from "../support/job-client.ts";
import { Ledger } from "../support/ledger.ts";
import { runLoad, verifyAll } from "../support/load.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";

const FILL = { writers: 8, keysPerWriter: 12, mix: { put: 10, multipart: 1 } } as const;
/** Slow enough that a kill meets the drain at work. */
const RATE = { rebalance: { "rate-limit-per-second": 25 } };

/** Writes and reads until it is told to stop; ends by itself where the gateway is killed. */
function keepWriting(
  target: { client: ReturnType<typeof strictClientOf>; bucket: string; ledger: Ledger },
  seed: number,
) {
  const state = { stop: false, killed: false };
  const done = (async () => {
    let operations = 0;
    while (!state.stop) {
      const options = { ...target, seed: seed + operations, writers: 4, keysPerWriter: 12, operations: 40 };
      const mix = { put: 5, get: 5, delete: 1 };
      operations += await runLoad({ ...options, mix, mayFail: () => state.killed });
      if (state.killed) return operations;
    }
    return operations;
  })();
  return { state, done };
}

test("a node is drained under load, the gateway killed in the middle: it goes on, ends empty, and nothing is lost", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-drain-"));
  const node = (name: string, faultDomain: string) => ({
    name,
    endpoint: `volume:${join(folder, name)}`,
    faultDomain,
    physicalStorageId: name,
  });
  const storage = {
    ...storageOver([]),
    "active-domains": ["a", "b"],
    ...RATE,
    nodes: [node("a1", "a"), node("a2", "a"), node("b1", "b"), node("b2", "b")],
  };
  try {
    await using gateway = await startGateway({ config: { storage } });
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    using client = strictClientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "drained" }));
    const target = { client, bucket: "drained", ledger: new Ledger() };
    await runLoad({ ...target, ...FILL, seed, operations: 300 });
    const load = keepWriting(target, seed + 1);
    const { id } = (await bulkhead(gateway, "nodes", "drain", "a1")) as JobReport;
    await jobMoved(gateway, id, 10);
    load.state.killed = true;
    await gateway.kill9();
    await load.done;
    await gateway.start();
    await verifyAll(target);
    const more = keepWriting(target, seed + 100_000);
    const job = await jobOver(gateway, id).finally(() => {
      more.state.stop = true;
    });
    t.diagnostic(`${await more.done} operations while it went on; ${JSON.stringify(job)}`);
    assert.equal(job.state, "done", JSON.stringify(job));
    assert.equal(job.objects_failed, 0);
    await verifyAll(target);
    for (const key of target.ledger.presentKeys()) {
      for (const copies of await locate(gateway, "drained", key)) {
        assert.deepEqual(
          copies.map(({ state, domain, node: on }) => [state, domain, on === "a1"]),
          [
            ["ok", "a", false],
            ["ok", "b", false],
          ],
          key,
        );
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
