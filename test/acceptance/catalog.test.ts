import assert from "node:assert/strict";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { eventually } from "../support/eventually.ts";
import { BULKHEAD, type Gateway, startGateway } from "../support/gateway.ts";
import { type Output, runProgram } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";

/** What every piece of the journal begins with: docs/formats.md. */
const PIECE = "BULKJRN1";
const BODY_AT = 60;

function cli(gateway: Gateway, ...args: string[]): Promise<Output> {
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
  };
  return runProgram("sh", [BULKHEAD, ...args], { env });
}

/** Flips a bit in the first piece of the journal that an embedded node holds. */
async function damageJournal(gateway: Gateway, node: string): Promise<void> {
  const folder = join(gateway.dataDir, "nodes", node, "volumes");
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name));
    const at = bytes.indexOf(PIECE);
    if (at < 0) continue;
    await using file = await open(join(folder, name), "r+");
    await file.write(Buffer.of((bytes[at + BODY_AT] ?? 0) ^ 1), 0, 1, at + BODY_AT);
    return;
  }
  assert.fail(`no piece of the journal on ${node}`);
}

test("the catalog is verified while it is used, and a damaged copy of its journal is found", async () => {
  await using gateway = await startGateway();
  using client = clientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  for (let i = 0; i < 20; i++) {
    await client.send(new PutObjectCommand({ Bucket: "box", Key: `k${i}`, Body: `body ${i}` }));
  }
  const right = await cli(gateway, "catalog", "verify");
  assert.equal(right.code, 0, right.stdout + right.stderr);
  assert.match(right.stdout, /nothing is wrong[\s\S]*Enough for a rebuild: +a, b/);
  assert.deepEqual(
    (await readdir(gateway.dataDir)).filter((name) => name.includes("verify")),
    [],
  );
  await damageJournal(gateway, "a1");
  const wrong = await cli(gateway, "catalog", "verify");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /^bad-piece: segment .* on a1: /m);
  assert.match((await cli(gateway, "status")).stdout, /^Journal: +sync, up to date$/m);
});

test("a snapshot is made when it is asked for, and changes tell what was written", async () => {
  await using gateway = await startGateway();
  using client = clientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  const told = (await gateway.admin("/api/v1/catalog/changes?limit=1000")) as {
    readonly changes: readonly { readonly writes: readonly { readonly kind: string; readonly key: unknown[] }[] }[];
  };
  const writes = told.changes.flatMap((change) => change.writes);
  assert.ok(writes.some(({ kind, key }) => kind === "bucket" && key[0] === "box"));
  assert.equal((await cli(gateway, "catalog", "snapshot")).code, 0);
  await eventually("the snapshot is made", { timeoutMs: 30_000, intervalMs: 100 }, async () => {
    const { stdout } = await cli(gateway, "catalog", "status");
    assert.match(stdout, /^Snapshot: +after commit \d+/m);
    assert.match(stdout, /^Rebuildable: +yes$/m);
  });
  assert.equal((await cli(gateway, "catalog", "verify")).code, 0);
});
