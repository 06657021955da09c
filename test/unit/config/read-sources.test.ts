import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { localGateway, readConfig } from "../../../src/config/inspect-config.ts";
import { formatProblem } from "../../../src/config/problems.ts";
import { withEnvironmentFile } from "../../../src/config/read-sources.ts";

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-config-"));
});

after(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("the configuration file", () => {
  test("is the one that is asked for, else that of BULKHEAD_CONFIG, else there is none", () => {
    const one = file("one.yaml", "server: { dataDir: /one }");
    const two = file("two.yaml", "server: { dataDir: /two }");
    const dataDir = (options: Parameters<typeof readConfig>[0]): string | undefined => {
      const result = readConfig(options);
      return "config" in result ? result.config.server.dataDir : undefined;
    };
    assert.equal(dataDir({ file: one, env: { BULKHEAD_CONFIG: two } }), "/one");
    assert.equal(dataDir({ env: { BULKHEAD_CONFIG: two } }), "/two");
    assert.equal(dataDir({ env: { BULKHEAD_CONFIG: "" } }), "./data");
  });

  test("is named where it cannot be read", () => {
    const missing = join(folder, "missing.yaml");
    const result = readConfig({ file: missing, env: {} });
    assert.deepEqual("problems" in result && result.problems.map(formatProblem), [
      `the configuration file ${missing} cannot be read: ENOENT`,
    ]);
  });
});

test("secrets are read from the files that the environment names", () => {
  const env = { BULKHEAD_ADMIN_API_KEY_FILE: file("key", "admin-key\n") };
  const result = readConfig({ env });
  assert.equal("secrets" in result && result.secrets.adminApiKey?.reveal(), "admin-key");
});

test("a secret's file that is too large is not taken for a secret", () => {
  const env = { BULKHEAD_ADMIN_API_KEY_FILE: file("large", "x".repeat(70_000)) };
  const result = readConfig({ env });
  assert.match("problems" in result ? result.problems.map(formatProblem).join() : "", /it is larger than 65536 bytes/);
});

test("what the environment says comes before .env in the working directory", () => {
  file(".env", "BULKHEAD_DATA_DIR=/from-file\nBULKHEAD_LOG_LEVEL='warn'\n");
  const before = process.cwd();
  process.chdir(folder);
  try {
    assert.deepEqual(withEnvironmentFile({ BULKHEAD_DATA_DIR: "/from-environment" }), {
      BULKHEAD_DATA_DIR: "/from-environment",
      BULKHEAD_LOG_LEVEL: "warn",
    });
    rmSync(join(folder, ".env"));
    assert.deepEqual(withEnvironmentFile({ A: "b" }), { A: "b" });
  } finally {
    process.chdir(before);
  }
});

test("programs on this machine reach the admin API wherever it listens", () => {
  const urlFor = (listen: string): string | undefined => {
    const result = readConfig({ env: { BULKHEAD_ADMIN_LISTEN: listen } });
    return "config" in result ? localGateway(result.config, result.secrets).adminUrl : undefined;
  };
  assert.equal(urlFor("127.0.0.1:1"), "http://127.0.0.1:1");
  assert.equal(urlFor("0.0.0.0:1"), "http://127.0.0.1:1");
  assert.equal(urlFor("[::]:1"), "http://[::1]:1");
  assert.equal(urlFor("[fd00::1]:1"), "http://[fd00::1]:1");
});
