import assert from "node:assert/strict";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { overEveryLayout } from "../support/clusters.ts";
import { sha256OfFile, temporaryFolder, writePatternFile, writeTree } from "../support/files.ts";
import type { Gateway } from "../support/gateway.ts";
import { inParallel } from "../support/in-parallel.ts";
import { missingPrograms, type Output, runProgram, succeed } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";
import { LARGE_OBJECT_BYTES, LISTED_KEYS, MIB, SYNC_FILES } from "../support/sizes.ts";

/** aws-cli as installed: its defaults, nothing of the user's own configuration, no retries that would hide a failure. */
function environment(gateway: Gateway): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: gateway.credentials.accessKey,
    AWS_SECRET_ACCESS_KEY: gateway.credentials.secretKey,
    AWS_ENDPOINT_URL_S3: gateway.s3Url,
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
    AWS_PAGER: "",
  };
}

async function aws(gateway: Gateway, ...args: string[]): Promise<string> {
  return await succeed("aws", args, { env: environment(gateway) });
}

async function tryAws(gateway: Gateway, ...args: string[]): Promise<Output> {
  return await runProgram("aws", args, { env: environment(gateway) });
}

overEveryLayout("aws-cli", missingPrograms("aws", "curl"), (check) => {
  check("mb makes a bucket that ls shows, and rb removes it", async ({ gateway }) => {
    await aws(gateway, "s3", "mb", "s3://made");
    assert.match(await aws(gateway, "s3", "ls"), / made$/m);
    await aws(gateway, "s3", "rb", "s3://made");
    assert.doesNotMatch(await aws(gateway, "s3", "ls"), / made$/m);
  });

  for (const [name, bytes] of [
    ["0 bytes", 0],
    ["1 byte", 1],
    ["5 MiB", 5 * MIB],
    [`${LARGE_OBJECT_BYTES / MIB} MiB`, LARGE_OBJECT_BYTES],
  ] as const) {
    check(`cp brings ${name} there and back unchanged`, async ({ gateway }) => {
      await using folder = await temporaryFolder();
      const bucket = `s3://copies-${bytes}`;
      await aws(gateway, "s3", "mb", bucket);
      const sent = await writePatternFile(join(folder.path, "sent"), bytes);
      await aws(gateway, "s3", "cp", "--no-progress", join(folder.path, "sent"), `${bucket}/a key`);
      await aws(gateway, "s3", "cp", "--no-progress", `${bucket}/a key`, join(folder.path, "received"));
      assert.equal(await sha256OfFile(join(folder.path, "received")), sent);
      await aws(gateway, "s3", "rb", "--force", bucket);
      assert.notEqual((await tryAws(gateway, "s3", "ls", bucket)).code, 0, "rb --force leaves no bucket");
    });
  }

  check(
    `sync of ${SYNC_FILES} files moves nothing the second time, and rm --recursive removes all`,
    async ({ gateway }) => {
      await using folder = await temporaryFolder();
      const [sent, received] = [join(folder.path, "sent"), join(folder.path, "received")];
      await writeTree(sent, SYNC_FILES);
      await aws(gateway, "s3", "mb", "s3://synced");
      const first = await aws(gateway, "s3", "sync", "--no-progress", sent, "s3://synced/tree");
      assert.equal(first.match(/^upload: /gm)?.length, SYNC_FILES);
      assert.equal(await aws(gateway, "s3", "sync", "--no-progress", sent, "s3://synced/tree"), "");

      await aws(gateway, "s3", "sync", "--no-progress", "s3://synced/tree", received);
      await succeed("diff", ["-r", sent, received]);

      const removed = await aws(gateway, "s3", "rm", "--recursive", "s3://synced/tree");
      assert.equal(removed.match(/^delete: /gm)?.length, SYNC_FILES);
      assert.equal((await tryAws(gateway, "s3", "ls", "--recursive", "s3://synced/")).stdout, "");
      await aws(gateway, "s3", "rb", "s3://synced");
    },
  );

  check(`ls shows ${LISTED_KEYS} keys, each once and in order`, async ({ gateway }) => {
    await aws(gateway, "s3", "mb", "s3://listed");
    using client = clientOf(gateway);
    const keys = Array.from(
      { length: LISTED_KEYS },
      (_, index) => `part-${index % 7}/key-${String(index).padStart(6, "0")}`,
    );
    await inParallel(32, keys, async (Key) => {
      await client.send(new PutObjectCommand({ Bucket: "listed", Key, Body: "x" }));
    });
    const lines = (await aws(gateway, "s3", "ls", "--recursive", "s3://listed")).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => line.slice(line.indexOf("part-"))),
      keys.toSorted(),
    );
    assert.deepEqual(
      (await aws(gateway, "s3", "ls", "s3://listed"))
        .trimEnd()
        .split("\n")
        .map((line) => line.trim()),
      Array.from({ length: 7 }, (_, index) => `PRE part-${index}/`),
    );
  });

  check("a presigned URL is fetched by curl without credentials, and not when it was changed", async ({ gateway }) => {
    await using folder = await temporaryFolder();
    await aws(gateway, "s3", "mb", "s3://signed");
    const sent = await writePatternFile(join(folder.path, "sent"), 3 * MIB + 1);
    await aws(gateway, "s3", "cp", "--no-progress", join(folder.path, "sent"), "s3://signed/a key + more");
    const url = (await aws(gateway, "s3", "presign", "s3://signed/a key + more")).trim();
    await succeed("curl", ["-sSf", "-o", join(folder.path, "received"), url]);
    assert.equal(await sha256OfFile(join(folder.path, "received")), sent);
    const refused = await succeed("curl", ["-s", "-w", "%{http_code}", url.replace("a%20key", "b%20key")]);
    assert.match(refused, /SignatureDoesNotMatch[\s\S]*403$/);
  });
});
