import assert from "node:assert/strict";
import { join } from "node:path";
import { overEveryLayout } from "../support/clusters.ts";
import { temporaryFolder, writePatternFile, writeTree } from "../support/files.ts";
import type { Gateway } from "../support/gateway.ts";
import { missingPrograms, type Output, runProgram } from "../support/programs.ts";
import { MIB, SYNC_FILES } from "../support/sizes.ts";

async function rclone(gateway: Gateway, ...args: string[]): Promise<Output> {
  const { accessKey, secretKey } = gateway.credentials;
  return await runProgram("rclone", ["--config", "/dev/null", "--retries", "1", "--low-level-retries", "1", ...args], {
    env: {
      RCLONE_CONFIG_GW_TYPE: "s3",
      RCLONE_CONFIG_GW_PROVIDER: "Other",
      RCLONE_CONFIG_GW_ENDPOINT: gateway.s3Url,
      RCLONE_CONFIG_GW_REGION: "us-east-1",
      RCLONE_CONFIG_GW_ACCESS_KEY_ID: accessKey,
      RCLONE_CONFIG_GW_SECRET_ACCESS_KEY: secretKey,
    },
  });
}

/** The number of files that a run with --stats-one-line says it moved. */
function transferred(run: Output): number {
  const found = run.stderr.match(/"transfers":(\d+)/g)?.at(-1);
  assert.ok(found !== undefined, `rclone's statistics are missing in:\n${run.stderr}`);
  return Number(found.replace(/\D/g, ""));
}

overEveryLayout("rclone", missingPrograms("rclone"), (check) => {
  check(
    "sync brings a tree there and back, moves nothing the second time, and check finds no difference",
    async ({ gateway }) => {
      await using folder = await temporaryFolder();
      const [sent, received] = [join(folder.path, "sent"), join(folder.path, "received")];
      await writeTree(sent, Math.min(SYNC_FILES, 1000));
      await writePatternFile(join(sent, "in parts"), 12 * MIB + 1);
      const options = [
        "--s3-upload-cutoff",
        "5M",
        "--s3-chunk-size",
        "5M",
        "--use-json-log",
        "--stats-log-level",
        "NOTICE",
      ];

      const run = async (...args: string[]): Promise<Output> => {
        const output = await rclone(gateway, ...args, ...options);
        assert.equal(output.code, 0, output.stderr);
        return output;
      };
      await run("mkdir", "gw:synced");
      assert.equal(transferred(await run("sync", sent, "gw:synced/tree")), Math.min(SYNC_FILES, 1000) + 1);
      assert.equal(transferred(await run("sync", sent, "gw:synced/tree")), 0);
      await run("check", "--download", sent, "gw:synced/tree");
      await run("sync", "gw:synced/tree", received);
      await run("check", received, "gw:synced/tree");
      await run("purge", "gw:synced");
    },
  );
});
