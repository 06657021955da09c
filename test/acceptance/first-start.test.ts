import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CreateBucketCommand, ListBucketsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { locate } from "../support/admin.ts";
import { patternBytes } from "../support/files.ts";
import { BULKHEAD, startGateway } from "../support/gateway.ts";
import { read } from "../support/load.ts";
import { missingPrograms, succeed } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";

/** As a newcomer starts it, but for the folder and the ports. */
const NPM_START = { command: ["npm", "start"] };

describe("npm start", () => {
  test("serves, keeps its keys to itself and its data over a restart", async () => {
    await using gateway = await startGateway(NPM_START);
    using client = clientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "first" }));
    const body = patternBytes(1_000_000, 1);
    await client.send(new PutObjectCommand({ Bucket: "first", Key: "k", Body: body }));
    const copies = (await locate(gateway, "first", "k")).flat();
    assert.deepEqual(copies.map((copy) => `${copy.domain} ${copy.state}`).sort(), ["a ok", "b ok"]);

    for (const [path, mode] of [
      ["keys", 0o700],
      ["keys/root.json", 0o600],
      ["keys/admin-api-key", 0o600],
    ] as const) {
      assert.equal((await stat(join(gateway.dataDir, path))).mode & 0o777, mode, path);
    }
    const { secretKey } = gateway.credentials;
    await gateway.restart();
    assert.equal(gateway.credentials.secretKey, secretKey);
    assert.ok(body.equals(await present(read(client, "first", "k"))));
    assert.ok(!gateway.output.includes(secretKey), "the secret key is not printed");
  });

  test("prints an aws-cli line that works when it is pasted", { skip: missingPrograms("aws") ?? false }, async () => {
    await using gateway = await startGateway(NPM_START);
    const line = /^ *(.*\baws --endpoint-url \S+ s3 mb s3:\/\/(\S+))$/m.exec(gateway.output);
    assert.ok(line?.[1] !== undefined, `a line for aws-cli in:\n${gateway.output}`);
    // Nobody's own settings: only what the line itself says.
    const env = { AWS_CONFIG_FILE: "/dev/null", AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" };
    await succeed("sh", ["-c", line[1]], { env });
    using client = clientOf(gateway);
    const { Buckets } = await client.send(new ListBucketsCommand());
    assert.deepEqual(
      Buckets?.map((bucket) => bucket.Name),
      [line[2]],
    );
  });

  test("ends by SIGTERM with exit code 0, and what it acknowledged is there", async () => {
    await using gateway = await startGateway();
    using client = clientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "stopped" }));
    await client.send(new PutObjectCommand({ Bucket: "stopped", Key: "k", Body: "bytes" }));
    assert.equal(await gateway.stop(), 0);
    await gateway.start();
    assert.equal((await present(read(client, "stopped", "k"))).toString(), "bytes");
  });

  test("/readyz, /metrics and /openapi.json answer without a key, the rest of the admin port only with it", async () => {
    await using gateway = await startGateway();
    const status = async (path: string): Promise<number> => {
      const answer = await fetch(gateway.adminUrl + path);
      await answer.body?.cancel();
      return answer.status;
    };
    for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json"])
      assert.equal(await status(path), 200, path);
    assert.equal(await status("/api/v1/storage/cluster/status"), 401);
    assert.equal(await status("/api/v1/objects/b/k"), 401);
    const report = (await gateway.admin("/api/v1/storage/cluster/status")) as { worker_count: number };
    assert.equal(report.worker_count, 2);
  });

  test("bulkhead status and objects locate speak to it with the key of the data folder", async () => {
    await using gateway = await startGateway();
    using client = clientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "shown" }));
    await client.send(new PutObjectCommand({ Bucket: "shown", Key: "k", Body: "bytes" }));
    const env = {
      BULKHEAD_DATA_DIR: gateway.dataDir,
      BULKHEAD_ADMIN_LISTEN: new URL(gateway.adminUrl).host,
    };
    const cli = (...args: string[]): Promise<string> => succeed("sh", [BULKHEAD, ...args], { env });
    const status = JSON.parse(await cli("status", "--json")) as { worker_count?: number };
    assert.equal(status.worker_count, 2, JSON.stringify(status));
    assert.match(await cli("nodes"), /a1[\s\S]*b1/);
    assert.match(await cli("objects", "locate", "shown", "k"), /a1[\s\S]*b1/);
  });
});

async function present(reading: Promise<Uint8Array | "absent">): Promise<Buffer> {
  const bytes = await reading;
  assert.ok(bytes !== "absent");
  return Buffer.from(bytes);
}
