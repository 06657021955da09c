/** `bulkhead repair` and `bulkhead domains promote`, through the admin server that they ask. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { createAdminServer } from "../../../src/admin/server.ts";
import { runCli } from "../../../src/cli/run.ts";
import { NodeError } from "../../../src/nodes/storage-node.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { adminContext } from "../../support/admin-context.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { noTerminal } from "../../support/no-terminal.ts";
import { openBox } from "../../support/open-box.ts";
import { blobOf, changeSlot } from "../../support/slots.ts";

const KEY = "the-key-of-this-test";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Admin extends AsyncDisposable {
  run(...args: string[]): Promise<Ran>;
  post(path: string, body: unknown): Promise<number>;
  get(path: string): Promise<number>;
}

async function serve(gateway: InMemoryGateway): Promise<Admin> {
  const server = createAdminServer({
    ...adminContext(gateway),
    apiKey: new Secret(KEY),
    metrics: createMetrics({ version: "0", processMetrics: false }),
    version: "0",
    logger: silentLogger,
    draining: () => false,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const url = `http://127.0.0.1:${address.port}`;
  const ask = async (path: string, init: RequestInit): Promise<number> => {
    const answer = await fetch(`${url}/api/v1/storage/cluster/${path}`, { ...init, headers: { "X-API-Key": KEY } });
    await answer.body?.cancel();
    return answer.status;
  };
  return {
    async run(...args) {
      let [out, err] = ["", ""];
      const code = await runCli(args, {
        version: "0",
        terminal: noTerminal,
        env: { BULKHEAD_ADMIN_URL: url, BULKHEAD_ADMIN_API_KEY: KEY },
        stdout: (text) => void (out += text),
        stderr: (text) => void (err += text),
        serve: () => assert.fail("not asked for"),
        rebuildCatalog: () => assert.fail("not asked for"),
        checkConfig: () => ({ sound: false, problems: [], lines: [] }),
        clock: systemClock,
        readFile: () => assert.fail("not asked for"),
      });
      return { code, out, err };
    },
    post: (path, body) => ask(path, { method: "POST", body: JSON.stringify(body) }),
    get: (path) => ask(path, {}),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("dead letters are listed, shown and replayed, one or all", async () => {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  for (const key of ["a", "b", "c"]) {
    await client.put(`box/${key}`, patternBytes(1_000, 1));
    await changeSlot(gateway, key, 1, ({ domain }) => ({ state: "missing", domain }));
  }
  gateway.node("d1-0").control.hooks.put = () => Promise.reject(new NodeError("io", "the disk is broken"));
  for (let attempt = 0; attempt < 12; attempt++) {
    gateway.clock.advance(3_600_000);
    await gateway.repair();
  }
  await using admin = await serve(gateway);
  const { blobId } = (await blobOf(gateway, "a")).blob;

  assert.match((await admin.run("repair", "status")).out, /Dead letters: +3\n/);
  const listed = await admin.run("repair", "dead-letters");
  assert.equal(listed.code, 0);
  assert.equal(listed.out.match(/missing .* 12 +d1-0 +io: the disk is broken/g)?.length, 3, listed.out);
  assert.deepEqual((await admin.run("repair", "dead-letters", "list")).out, listed.out);
  assert.equal(JSON.parse((await admin.run("repair", "dead-letters", "--json")).out).dead_letters.length, 3);
  const shown = await admin.run("repair", "dead-letters", "show", blobId, "1");
  assert.match(shown.out, /Object: +a\n/);
  assert.match(shown.out, /after 12 attempts/);
  const unknown = await admin.run("repair", "dead-letters", "show", "f".repeat(32), "0");
  assert.deepEqual([unknown.code, unknown.out], [1, ""]);
  assert.match(unknown.err, /there is no dead letter/);

  assert.match((await admin.run("repair", "dead-letters", "replay", blobId, "1")).out, /Tried again: 1/);
  assert.equal((await admin.run("repair", "dead-letters", "replay", blobId, "1")).code, 1);
  assert.equal((await admin.run("repair", "dead-letters", "replay", blobId)).code, 2);
  assert.match((await admin.run("repair", "dead-letters", "replay")).out, /Tried again: 2/);
  assert.match((await admin.run("repair", "dead-letters")).out, /There are no dead letters/);
  gateway.node("d1-0").control.hooks = {};
  await gateway.repair();
  await assertFullyRedundant(gateway);
  assert.equal((await admin.run("repair", "run")).code, 0);
});

test("requests about dead letters that make no sense are refused as such", async () => {
  const { gateway } = await openBox();
  await using admin = await serve(gateway);
  assert.equal(await admin.get("dead-letters?limit=0"), 400);
  assert.equal(await admin.get("dead-letters?limit=1001"), 400);
  assert.equal(await admin.get("dead-letters?after=nonsense"), 400);
  assert.equal(await admin.get("dead-letters/nonsense/1"), 404);
  assert.equal(await admin.post("dead-letters/replay", { blob_id: "f".repeat(32) }), 400);
  assert.equal(await admin.post("dead-letters/replay", { everything: true }), 400);
  assert.equal(await admin.post("dead-letters/replay", { blob_id: "f".repeat(32), slot: 0 }), 404);
});

test("a standby node is promoted and demoted by command, and what makes no sense is refused with the reason", async () => {
  const { gateway } = await openBox({ standbyNodes: 1 });
  await using admin = await serve(gateway);
  assert.match((await admin.run("domains", "promotions")).out, /standby-0 +standby +standby +standby +-/);
  assert.match((await admin.run("domains", "promote", "d1")).out, /standby-0 +promoted +d1 +standby +-/);
  const again = await admin.run("domains", "promote", "d0", "--node", "standby-0");
  assert.equal(again.code, 1);
  assert.match(again.err, /promoted already/);
  assert.match((await admin.run("domains", "promote", "nowhere")).err, /there is no domain nowhere/);
  await gateway.restart();
  await using after = await serve(gateway);
  assert.match((await after.run("nodes")).out, /standby-0 +d1 \(home: standby\)/);
  assert.match((await after.run("domains", "demote", "standby-0")).out, /standby-0 +demoting +standby +standby +d1/);
  assert.equal((await after.run("domains", "demote", "d0-0")).code, 1);
  assert.equal(await after.post("domains/d0/promote", { nodes: 3 }), 400);
});
