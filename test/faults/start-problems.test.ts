import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { closeAll, startServers, storageOver } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/files.ts";
import { type Exit, startGateway, startRefused } from "../support/gateway.ts";
import { Ledger } from "../support/ledger.ts";
import { read, runLoad, verifyAll } from "../support/load.ts";
import { assertNodesHoldExactly } from "../support/node-contents.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { runSeed } from "../support/seeded.ts";
import { smallDisk } from "../support/small-disk.ts";

const REPAIR_TIMEOUT_MS = 60_000;

/** The gateway ended by itself, and told why in words that hold all of these, without a stack of calls. */
function assertRefused(exit: Exit, ...words: (string | RegExp)[]): void {
  assert.equal(exit.signal, null, `it should have ended by itself; it printed:\n${exit.output}`);
  assert.notEqual(exit.code, 0);
  for (const word of words) {
    assert.ok(
      typeof word === "string" ? exit.output.includes(word) : word.test(exit.output),
      `${word} in:\n${exit.output}`,
    );
  }
  assert.doesNotMatch(exit.output, /^\s+at .*:\d+:\d+\)?$/m, "a message, not a stack");
}

describe("a gateway that cannot start says why", () => {
  test("a port in use is named", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    try {
      const address = other.address();
      assert.ok(address !== null && typeof address === "object");
      const listen = `127.0.0.1:${address.port}`;
      for (const setting of ["BULKHEAD_S3_LISTEN", "BULKHEAD_ADMIN_LISTEN"]) {
        assertRefused(await startRefused({ env: { [setting]: listen } }), listen, /in use/i);
      }
    } finally {
      other.close();
    }
  });

  test("a data folder that cannot be made is named", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "a file");
    await writeFile(file, "");
    assertRefused(await startRefused({ dataDir: join(file, "data") }), join(file, "data"));
  });

  test("a data folder that cannot be written is named", async (t) => {
    await using folder = await temporaryFolder();
    // A disk mounted read-only: nothing else keeps root from writing.
    await using disk = await smallDisk(join(folder.path, "disk"), { mebibytes: 4, readOnly: true }, t);
    if (disk === undefined) return;
    for (const dataDir of [join(folder.path, "disk"), join(folder.path, "disk/data")]) {
      assertRefused(await startRefused({ dataDir }), dataDir, /read-only|EROFS/);
    }
  });

  test("a second gateway on the same data folder is refused, and the first serves on", async () => {
    await using first = await startGateway();
    using client = strictClientOf(first);
    await client.send(new CreateBucketCommand({ Bucket: "kept" }));
    await client.send(new PutObjectCommand({ Bucket: "kept", Key: "k", Body: "bytes" }));
    const second = await startRefused({ dataDir: first.dataDir });
    assertRefused(second, first.dataDir, String(first.pid));
    assert.equal(Buffer.from(await read(client, "kept", "k")).toString(), "bytes");
    // A lock that outlives its holder would keep the folder for ever.
    await first.kill9();
    await first.start();
    assert.equal(Buffer.from(await read(client, "kept", "k")).toString(), "bytes");
  });

  test("a configuration with several mistakes has each of them named at once", async () => {
    const exit = await startRefused({
      config: {
        storage: {
          "active-domains": ["a"],
          replication: { factor: 3, quorum: "some" },
          nodes: [{ name: "n1", endpoint: "volume:/tmp/never-made", faultDomain: "b", weight: -1 }],
        },
      },
    });
    assertRefused(exit, "factor", "quorum", "faultDomain", "weight");
  });
});

describe("a gateway with a node that it cannot use", () => {
  test("starts with a node that is down, names it, writes and reads, and completes it when it is there", async (t) => {
    const minio = await startServers(2);
    if ("skip" in minio) {
      t.skip(minio.skip);
      return;
    }
    try {
      await minio[1]?.kill();
      await using gateway = await startGateway({ config: { storage: storageOver(minio) } });
      assert.match(await readiness(gateway.adminUrl), /degraded[\s\S]*node-b/);
      using client = strictClientOf(gateway);
      const target = { client, bucket: "early", ledger: new Ledger() };
      await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
      const mix = { put: 5, get: 2, delete: 1 };
      await runLoad({ ...target, seed: runSeed(), writers: 4, keysPerWriter: 10, mix, operations: 120 });
      await minio[1]?.restart();
      await eventually("node-b has its copies", { timeoutMs: REPAIR_TIMEOUT_MS, intervalMs: 1000 }, () =>
        assertNodesHoldExactly({ gateway, minio, ...target, copies: 2 }),
      );
      await verifyAll(target);
    } finally {
      await closeAll(minio);
    }
  });

  test("starts with a node whose key is wrong, says access denied of it, and writes and reads", async (t) => {
    const minio = await startServers(2);
    if ("skip" in minio) {
      t.skip(minio.skip);
      return;
    }
    try {
      const wrong = minio.map((server, index) => (index === 1 ? { ...server, ...WRONG_KEY } : server));
      await using gateway = await startGateway({ config: { storage: storageOver(wrong) } });
      assert.match(await readiness(gateway.adminUrl), /degraded[\s\S]*node-b/);
      assert.match(gateway.output, /node-b/);
      assert.match(gateway.output, /access[- ]denied/i);
      assert.ok(!gateway.output.includes(WRONG_KEY.secretKey), "no secret in the log");
      using client = strictClientOf(gateway);
      await client.send(new CreateBucketCommand({ Bucket: "kept" }));
      await client.send(new PutObjectCommand({ Bucket: "kept", Key: "k", Body: "bytes" }));
      assert.equal(Buffer.from(await read(client, "kept", "k")).toString(), "bytes");
    } finally {
      await closeAll(minio);
    }
  });
});

const WRONG_KEY = { accessKey: "bulkhead", secretKey: "not-the-secret-of-it" };

async function readiness(adminUrl: string): Promise<string> {
  const answer = await fetch(`${adminUrl}/readyz`);
  assert.equal(answer.status, 200);
  return await answer.text();
}
