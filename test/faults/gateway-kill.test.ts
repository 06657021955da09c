import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { replicationReport } from "../support/admin.ts";
import { eventually } from "../support/eventually.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Ledger } from "../support/ledger.ts";
import { runLoad, verifyAll } from "../support/load.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed, seeded } from "../support/seeded.ts";

const ROUNDS = 20;
/** A round ends by a kill after a random number of acknowledged operations below this. */
const OPERATIONS_MAX = 150;
const MIX = { put: 10, get: 2, delete: 4, multipart: 4 } as const;
const ORPHANS_TIMEOUT_MS = 60_000;

describe("a gateway killed with kill -9", () => {
  let gateway: Gateway | undefined;
  before(async () => {
    gateway = await startGateway({ config: { storage: { delete: { grace: "1s" } } } });
  });
  after(async () => {
    await gateway?.[Symbol.asyncDispose]();
  });

  test(`keeps every acknowledged state and shows nothing half-written, ${ROUNDS} rounds`, async (t) => {
    assert.ok(gateway !== undefined);
    const running = gateway;
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const choices = seeded(seed);
    const ledger = new Ledger();
    using client = strictClientOf(running);
    await client.send(new CreateBucketCommand({ Bucket: "killed" }));
    const target = { client, bucket: "killed", ledger };
    let acknowledged = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const killAfter = 1 + choices.below(OPERATIONS_MAX);
      let kill: Promise<void> | undefined;
      acknowledged += await runLoad({
        ...target,
        seed: seed + round * 104_729,
        writers: 16,
        keysPerWriter: 12,
        mix: MIX,
        operations: Number.MAX_SAFE_INTEGER,
        mayFail: () => kill !== undefined,
        onProgress: (count) => {
          if (count >= killAfter) kill ??= running.kill9();
        },
      });
      await kill;
      await running.start();
      await verifyAll(target).catch((error: unknown) => {
        const words = running.output.slice(-4000);
        throw new Error(`round ${round}, seed ${seed}; the gateway's last words:\n${words}`, { cause: error });
      });
    }
    t.diagnostic(`${ROUNDS} rounds, ${acknowledged} acknowledged operations, ${ledger.presentKeys().length} objects`);
  });

  test("finds the blobs that killed writes left behind", async (t) => {
    assert.ok(gateway !== undefined);
    const running = gateway;
    await eventually("a search for orphans has ended", { timeoutMs: ORPHANS_TIMEOUT_MS, intervalMs: 500 }, async () => {
      const report = await replicationReport(running);
      assert.ok(report.orphans_checked_at !== null);
      // With this many kills in the middle of writes it would be strange to find none.
      assert.ok(report.orphans + report.orphans_removed > 0, JSON.stringify(report));
      t.diagnostic(`${report.orphans + report.orphans_removed} orphans found`);
    });
  });
});
