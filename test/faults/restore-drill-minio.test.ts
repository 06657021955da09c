/**
 * The catalog is lost under load and made again from the nodes, over MinIO: nothing is lost but what was acknowledged in
 * the last moments, which the journal had not taken yet.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { closeAll, startServers, storageOver } from "../support/clusters.ts";
import { createBucket, loadAndKill, verify } from "../support/drill.ts";
import { temporaryFolder } from "../support/files.ts";
import type { MinioServer } from "../support/find-minio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { LaggingLedger } from "../support/lagging-ledger.ts";
import { Ledger } from "../support/ledger.ts";
import { rebuildCatalog, runRebuild } from "../support/rebuild.ts";
import { runSeed } from "../support/seeded.ts";

const ROUNDS = 4;
/** The journal is a second behind at most; the rest is for a machine that has no time. */
const LAG_MS_MAX = 4_000;

interface Site extends AsyncDisposable {
  readonly config: object;
  readonly dataDir: string;
  readonly servers: readonly MinioServer[];
  readonly gateway: Gateway;
}

/** A gateway over MinIO servers, with a bucket; undefined, and the test skipped, where there is no MinIO. */
async function startSite(count: number, catalog: object, t: TestContext): Promise<Site | undefined> {
  const servers = await startServers(count);
  if ("skip" in servers) {
    t.skip(servers.skip);
    return undefined;
  }
  const folder = await temporaryFolder();
  const config = { catalog, storage: storageOver(servers) };
  const dataDir = join(folder.path, "data");
  const gateway = await startGateway({ config, dataDir });
  await createBucket(gateway);
  return {
    config,
    dataDir,
    servers,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await closeAll(servers);
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function loseCatalog({ dataDir }: Site): Promise<void> {
  await rm(join(dataDir, "catalog"), { recursive: true });
}

function seedOf(t: TestContext): number {
  const seed = runSeed();
  t.diagnostic(`BULKHEAD_TEST_SEED=${seed}`);
  return seed;
}

for (const count of [2, 3]) {
  describe(`the catalog is lost, over ${count} MinIO servers`, () => {
    test(`with the journal behind: ${ROUNDS} rounds lose the last moments at most`, async (t) => {
      await using site = await startSite(count, { journal: "async" }, t);
      if (site === undefined) return;
      const [seed, ledger] = [seedOf(t), new LaggingLedger()];
      let acknowledged = 0;
      for (let round = 1; round <= ROUNDS; round++) {
        let killedAtMs = 0;
        const onKill = (): void => {
          killedAtMs = Date.now();
        };
        acknowledged += await loadAndKill({ gateway: site.gateway, ledger, seed: seed + round * 104_729, onKill });
        await loseCatalog(site);
        await rebuildCatalog(site);
        await site.gateway.start();
        ledger.mayHaveLostSince(killedAtMs - LAG_MS_MAX);
        await verify(site.gateway, ledger).catch((error: unknown) => {
          throw new Error(`round ${round}, seed ${seed}; ${site.gateway.output.slice(-3000)}`, { cause: error });
        });
        const losses = ledger.takeLosses();
        const oldestMs = losses.length === 0 ? 0 : killedAtMs - Math.min(...losses);
        t.diagnostic(`${losses.length} acknowledged operations lost, the oldest ${oldestMs} ms before the kill`);
      }
      t.diagnostic(`${acknowledged} acknowledged operations, ${ledger.presentKeys().length} objects`);
    });

    test("with the journal in every answer: nothing is lost, also while a server is away", async (t) => {
      await using site = await startSite(count, { journal: "sync" }, t);
      if (site === undefined) return;
      const [seed, ledger] = [seedOf(t), new Ledger()];
      const { gateway, servers } = site;
      for (const [index, server] of servers.entries()) {
        await loadAndKill({ gateway, ledger, seed: seed + index });
        await loseCatalog(site);
        await server.kill();
        const { unseen } = await rebuildCatalog({ ...site, options: ["--accept-unseen"] });
        assert.equal(unseen.length, 1);
        await gateway.start();
        await verify(gateway, ledger);
        await server.restart();
        assert.ok((await verify(gateway, ledger)) > 0);
      }
    });
  });
}

test("a rebuild is refused where too few domains answer, unless it is told to do with what is there", async (t) => {
  await using site = await startSite(3, { journal: "sync" }, t);
  if (site === undefined) return;
  const [seed, ledger] = [seedOf(t), new Ledger()];
  const { gateway, servers } = site;
  await loadAndKill({ gateway, ledger, seed });
  await loseCatalog(site);
  for (const server of servers.slice(1)) await server.kill();
  const refused = await runRebuild(site);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /1 of 3 domains answer.*all nodes are needed/);
  const { unseen } = await rebuildCatalog({ ...site, options: ["--accept-unseen"] });
  assert.equal(unseen.length, 2);
  // What was written to a quorum without the first server is missing in it: this catalog is given up again.
  await loseCatalog(site);
  for (const server of servers.slice(1)) await server.restart();
  await rebuildCatalog(site);
  await gateway.start();
  assert.ok((await verify(gateway, ledger)) > 0);
});
