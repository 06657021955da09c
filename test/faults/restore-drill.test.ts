/** The catalog is lost under load and made again from the nodes, over embedded nodes: nothing acknowledged is lost. */
import assert from "node:assert/strict";
import { rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { BUCKET, createBucket, loadAndKill, verify } from "../support/drill.ts";
import { temporaryFolder } from "../support/files.ts";
import { startGateway } from "../support/gateway.ts";
import { Ledger } from "../support/ledger.ts";
import { runLoad } from "../support/load.ts";
import { rebuildCatalog, runRebuild } from "../support/rebuild.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";
import { MIB } from "../support/sizes.ts";
import { smallDisk } from "../support/small-disk.ts";

const ROUNDS = 6;
const SMALL_DISK_MIB = 96;
/** A little more than what the catalog keeps free. */
const BYTES_LEFT = 64.5 * MIB;

/** Two domains with an embedded node each, outside the data folder. */
function configOf(folder: string, catalog: object = {}): object {
  return {
    catalog,
    storage: {
      delete: { grace: "1s" },
      health: { "interval-seconds": 1, decommission: false },
      "active-domains": ["a", "b"],
      nodes: ["a", "b"].map((domain) => ({
        name: `node-${domain}`,
        endpoint: `volume:${join(folder, `node-${domain}`)}`,
        faultDomain: domain,
      })),
    },
  };
}

describe("the catalog is lost, over two embedded nodes", () => {
  test(`killed under load and rebuilt, ${ROUNDS} rounds: what was acknowledged is there, what was deleted stays away`, async (t) => {
    await using folder = await temporaryFolder();
    const config = configOf(folder.path);
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const dataDir = join(folder.path, "data");
    await using gateway = await startGateway({ config, dataDir });
    await createBucket(gateway);
    const ledger = new Ledger();
    let acknowledged = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      acknowledged += await loadAndKill({ gateway, ledger, seed: seed + round * 104_729 });
      const refused = await runRebuild({ config, dataDir });
      assert.notEqual(refused.code, 0, "a catalog that is there is not replaced");
      assert.match(refused.stderr, /holds a catalog/);
      await rm(join(dataDir, "catalog"), { recursive: true });
      const report = await rebuildCatalog({ config, dataDir });
      assert.deepEqual([report.gap_until, report.unseen], [null, []], `round ${round}, seed ${seed}`);
      await gateway.start();
      await verify(gateway, ledger).catch((error: unknown) => {
        throw new Error(`round ${round}, seed ${seed}; ${gateway.output.slice(-3000)}`, { cause: error });
      });
    }
    t.diagnostic(`${acknowledged} acknowledged operations, ${ledger.presentKeys().length} objects`);
  });

  test("and the disk of a node with it: the other node alone has everything", async (t) => {
    await using folder = await temporaryFolder();
    const config = configOf(folder.path);
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const dataDir = join(folder.path, "data");
    for (const lost of ["node-a", "node-b"]) {
      await rm(dataDir, { recursive: true, force: true });
      for (const node of ["node-a", "node-b"]) await rm(join(folder.path, node), { recursive: true, force: true });
      await using gateway = await startGateway({ config, dataDir });
      await createBucket(gateway);
      const ledger = new Ledger();
      await loadAndKill({ gateway, ledger, seed });
      await rm(join(dataDir, "catalog"), { recursive: true });
      await rm(join(folder.path, lost), { recursive: true });
      const refused = await runRebuild({ config, dataDir });
      assert.match(refused.stderr, /all nodes are needed to see what was acknowledged degraded/);
      const report = await rebuildCatalog({ config, dataDir, options: ["--accept-unseen"] });
      assert.deepEqual(
        report.unseen.map(({ node }) => node),
        [lost],
      );
      await gateway.start();
      assert.ok((await verify(gateway, ledger)) > 0);
    }
  });

  test("and a node is away meanwhile: it is back with its copies, and nothing deleted returns with it", async (t) => {
    await using folder = await temporaryFolder();
    const config = configOf(folder.path);
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const dataDir = join(folder.path, "data");
    const [home, away] = [join(folder.path, "node-b"), join(folder.path, "away")];
    await using gateway = await startGateway({ config, dataDir });
    await createBucket(gateway);
    const ledger = new Ledger();
    await loadAndKill({ gateway, ledger, seed });
    await rm(join(dataDir, "catalog"), { recursive: true });
    await rename(home, away);
    await rebuildCatalog({ config, dataDir, options: ["--accept-unseen"] });
    await gateway.start();
    await verify(gateway, ledger);
    await loadAndKill({ gateway, ledger, seed: seed + 1 });
    await rm(home, { recursive: true, force: true });
    await rename(away, home);
    await gateway.start();
    await verify(gateway, ledger);
    await loadAndKill({ gateway, ledger, seed: seed + 2 });
    await rm(join(dataDir, "catalog"), { recursive: true });
    await rebuildCatalog({ config, dataDir });
    await gateway.start();
    assert.ok((await verify(gateway, ledger)) > 0);
  });

  test("its disk is full: it is rebuilt on another one", async (t) => {
    await using folder = await temporaryFolder();
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const small = join(folder.path, "small");
    await using disk = await smallDisk(small, { mebibytes: SMALL_DISK_MIB }, t);
    if (disk === undefined) return;
    const dataDir = join(folder.path, "data");
    const ledger = new Ledger();
    await using gateway = await startGateway({
      config: configOf(folder.path, { url: `lmdb:${join(small, "catalog")}` }),
      dataDir,
    });
    await createBucket(gateway);
    const { bavail, bsize } = await statfs(small);
    await writeFile(join(small, "filler"), Buffer.alloc(bavail * bsize - BYTES_LEFT));
    using client = strictClientOf(gateway);
    let refused = false;
    await runLoad({
      client,
      bucket: BUCKET,
      ledger,
      seed,
      writers: 8,
      keysPerWriter: 2_000,
      mix: { put: 1 },
      operations: 20_000,
      mayFail: () => {
        refused = true;
        return true;
      },
    });
    assert.ok(refused, "the disk was to be full");
    await gateway.kill9();
    const config = configOf(folder.path, { url: `lmdb:${join(folder.path, "roomy", "catalog")}` });
    await rebuildCatalog({ config, dataDir });
    await using moved = await startGateway({ config, dataDir });
    t.diagnostic(`${await verify(moved, ledger)} objects`);
    await loadAndKill({ gateway: moved, ledger, seed: seed + 1 });
    await moved.start();
    await verify(moved, ledger);
  });

  test("the whole data folder is lost, keys included: the nodes are taken at their word when told so", async (t) => {
    await using folder = await temporaryFolder();
    const config = configOf(folder.path);
    const seed = runSeed();
    t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
    const dataDir = join(folder.path, "data");
    await using gateway = await startGateway({ config, dataDir });
    await createBucket(gateway);
    const ledger = new Ledger();
    await loadAndKill({ gateway, ledger, seed });
    await rm(dataDir, { recursive: true });
    const refused = await runRebuild({ config, dataDir });
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /cluster-key/);
    await rebuildCatalog({ config, dataDir, options: ["--new-cluster-key"] });
    await gateway.start();
    assert.ok((await verify(gateway, ledger)) > 0);
    await loadAndKill({ gateway, ledger, seed: seed + 1 });
    await rm(join(dataDir, "catalog"), { recursive: true });
    await rebuildCatalog({ config, dataDir });
    await gateway.start();
    await verify(gateway, ledger);
  });
});
