/** `bulkhead prove` and `bulkhead status` as a user runs them, against a gateway that has lost a node's disk. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { eventually } from "../support/eventually.ts";
import { BULKHEAD, type Gateway, startGateway } from "../support/gateway.ts";
import { type Output, runProgram } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";

interface Told {
  readonly kind: string;
  readonly key?: string;
  readonly good_copies?: number | null;
  readonly domains?: readonly string[];
  readonly objects?: number;
  readonly below_policy?: boolean | number;
}

function cli(gateway: Gateway, ...args: string[]): Promise<Output> {
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
  };
  return runProgram("sh", [BULKHEAD, ...args], { env });
}

function linesOf({ stdout }: Output): Told[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Told);
}

test("every object is proven, and those that a lost disk leaves with one copy are told, by exit code too", async () => {
  await using gateway = await startGateway();
  using client = clientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  for (const Key of ["a/1", "a/2", "b/1"]) {
    await client.send(new PutObjectCommand({ Bucket: "box", Key, Body: `body of ${Key}` }));
  }
  const whole = await cli(gateway, "prove", "--json");
  assert.equal(whole.code, 0, whole.stderr);
  const told = linesOf(whole);
  assert.deepEqual(
    told.map(({ kind, key, good_copies, domains }) => [kind, key, good_copies, domains]),
    [
      ["object", "a/1", 2, ["a", "b"]],
      ["object", "a/2", 2, ["a", "b"]],
      ["object", "b/1", 2, ["a", "b"]],
      ["summary", undefined, undefined, undefined],
    ],
  );
  const some = await cli(gateway, "prove", "box/a/");
  assert.deepEqual([some.code, (some.stdout.match(/^2\/2 /gm) ?? []).length], [0, 2]);
  assert.match(some.stdout, /^Durability: +not measured yet$/m);

  await gateway.stop();
  await rm(join(gateway.dataDir, "nodes/b1"), { recursive: true });
  await gateway.start();
  const short = await cli(gateway, "prove", "--json");
  assert.equal(short.code, 1);
  const summary = linesOf(short).at(-1);
  assert.deepEqual([summary?.kind, summary?.objects, summary?.below_policy], ["summary", 3, 3]);
  assert.equal((await cli(gateway, "prove", "--fail-under", "1", "--summary")).code, 0);

  await eventually("the lost copies are on record", { timeoutMs: 30_000, intervalMs: 200 }, async () => {
    const { stdout } = await cli(gateway, "status");
    assert.match(stdout, /^Cluster: +not healthy$/m);
    assert.match(stdout, /^b +active +0\/1 online/m);
    assert.match(stdout, /^b1 +b +replaced/m);
    assert.match(stdout, /^Copies: .*(missing|unverified) 3/m);
  });
});

test("status that is watched ends without a word when nobody reads it any more", async () => {
  await using gateway = await startGateway();
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
  };
  // By the shell's own means: a machine may have no head.
  const firstLine = "{ IFS= read -r line; printf '%s\\n' \"$line\"; }";
  const read = await runProgram("sh", ["-c", `sh "${BULKHEAD}" status --watch 1 | ${firstLine}`], {
    env,
    timeoutMs: 60_000,
  });
  assert.deepEqual([read.code, read.stderr], [0, ""]);
  assert.match(read.stdout, /^bulkhead status .* every 1 s\n$/);
});
