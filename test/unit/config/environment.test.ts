import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { linesOf, loaded, problemsOf, storageYaml } from "./support.ts";

describe("settings from the environment", () => {
  test("any setting has a variable that follows from its path, and it comes before the file", () => {
    const env = {
      BULKHEAD_STORAGE_REPLICATION_QUORUM: "1",
      BULKHEAD_STORAGE_DEGRADEDWRITE_ENABLED: "false",
      BULKHEAD_STORAGE_DELETE_GRACE: "1 min",
      BULKHEAD_SERVER_S3_PUBLICURL: "https://s3.example.com/",
    };
    const { config } = loaded({ yaml: storageYaml("  replication: { quorum: all }"), env });
    assert.equal(config.storage.replication.quorum, 1);
    assert.equal(config.storage.replication.degradedWrite.enabled, false);
    assert.equal(config.storage.delete.graceMs, 60_000);
    assert.equal(config.server.s3.publicUrl, "https://s3.example.com");
  });

  test("the short names work like the long ones", () => {
    const { config, secrets } = loaded({
      env: {
        BULKHEAD_DATA_DIR: "/data",
        BULKHEAD_S3_LISTEN: "[::1]:1",
        BULKHEAD_ADMIN_LISTEN: "0.0.0.0:2",
        BULKHEAD_WORKERS: "1",
        BULKHEAD_ROOT_ACCESS_KEY: "root",
        BULKHEAD_ROOT_SECRET_KEY: "root-secret",
        BULKHEAD_ADMIN_API_KEY: "admin-key",
        BULKHEAD_CATALOG_URL: "memory:",
        BULKHEAD_COORDINATOR_URL: "embedded:",
      },
    });
    assert.equal(config.server.dataDir, "/data");
    assert.deepEqual(config.server.s3.listen, { host: "::1", port: 1 });
    assert.deepEqual(config.server.admin.listen, { host: "0.0.0.0", port: 2 });
    assert.deepEqual(config.catalog, { kind: "memory" });
    assert.equal(secrets.rootKey?.accessKey, "root");
    assert.equal(secrets.adminApiKey?.reveal(), "admin-key");
  });

  test("lists are JSON, with keys in either case", () => {
    const env = {
      BULKHEAD_STORAGE_ACTIVEDOMAINS: '["a"]',
      BULKHEAD_STORAGE_NODES: '[{"name":"node-a","endpoint":"volume:/a","fault-domain":"a","weight":"7"}]',
    };
    assert.equal(loaded({ env }).config.storage.nodes[0]?.weight, 7);
    assert.deepEqual(linesOf({ env: { ...env, BULKHEAD_STORAGE_DOMAINS: "a,b" } }), [
      "BULKHEAD_STORAGE_DOMAINS: storage.domains: must be a list in JSON",
    ]);
    assert.deepEqual(linesOf({ env: { ...env, BULKHEAD_STORAGE_DOMAINS: '{"name":"a"}' } }), [
      "BULKHEAD_STORAGE_DOMAINS: storage.domains: must be a list in JSON",
    ]);
  });

  test("a wrong value is reported with its variable", () => {
    assert.deepEqual(problemsOf({ env: { BULKHEAD_S3_LISTEN: "9070" } }), [
      {
        property: "server.s3.listen",
        value: "'9070'",
        reason: "must be HOST:PORT such as 127.0.0.1:9070 or [::1]:9070",
        source: { kind: "environment", variable: "BULKHEAD_S3_LISTEN" },
      },
    ]);
  });

  test("values are taken as they are: ${...} is replaced in files only", () => {
    const env = { BULKHEAD_ROOT_ACCESS_KEY: "root", BULKHEAD_ROOT_SECRET_KEY: "pa${SS}word" };
    assert.equal(loaded({ env }).secrets.rootKey?.secretKey.reveal(), "pa${SS}word");
  });

  test("a variable set to nothing is not set", () => {
    assert.deepEqual(loaded({ env: { BULKHEAD_S3_LISTEN: "", BULKHEAD_STORAGE_BOGUS: "" } }), loaded({}));
  });

  test("two variables for one setting are refused", () => {
    const twice = { BULKHEAD_DATA_DIR: "/a", BULKHEAD_SERVER_DATADIR: "/b" };
    assert.deepEqual(linesOf({ env: twice }), [
      "BULKHEAD_SERVER_DATADIR: server.dataDir: is set twice, by BULKHEAD_SERVER_DATADIR and BULKHEAD_DATA_DIR",
    ]);
    const keys = { BULKHEAD_ADMIN_API_KEY: "in-the-open", BULKHEAD_ADMIN_API_KEY_FILE: "/file" };
    assert.match(linesOf({ env: keys })[0] ?? "", /apiKey: is set twice, by BULKHEAD_ADMIN_API_KEY and .*_FILE$/);
  });
});

describe("secrets from files", () => {
  test("are read without the newline at their end", () => {
    const env = { BULKHEAD_ADMIN_API_KEY_FILE: "/run/secrets/admin" };
    const { secrets } = loaded({ env, files: { "/run/secrets/admin": "admin-key\r\n" } });
    assert.equal(secrets.adminApiKey?.reveal(), "admin-key");
  });

  test("are refused with the file's name where it cannot be read", () => {
    assert.deepEqual(linesOf({ env: { BULKHEAD_ADMIN_API_KEY_FILE: "/nowhere" } }), [
      "BULKHEAD_ADMIN_API_KEY_FILE: server.admin.apiKey: the file /nowhere that is to hold it cannot be read: ENOENT",
    ]);
  });

  test("are for secrets only", () => {
    assert.match(linesOf({ env: { BULKHEAD_SERVER_DATADIR_FILE: "/x" } })[0] ?? "", /is no known setting/);
  });
});

describe("misspelled variables", () => {
  test("are refused where they begin like a setting's", () => {
    const env = { BULKHEAD_STORAGE_REPLICATON_FACTOR: "2", BULKHEAD_STORAGE_NODES_0_WEIGHT: "2" };
    assert.deepEqual(linesOf({ env }), [
      "BULKHEAD_STORAGE_REPLICATON_FACTOR: is no known setting (did you mean BULKHEAD_STORAGE_REPLICATION_FACTOR?)",
      "BULKHEAD_STORAGE_NODES_0_WEIGHT: is no known setting",
    ]);
  });

  test("are left alone where they are others': Kubernetes', the command line's, tests'", () => {
    loaded({
      env: {
        BULKHEAD_S3_SERVICE_HOST: "10.0.0.1",
        BULKHEAD_S3_SERVICE_PORT_HTTP: "9070",
        BULKHEAD_S3_PORT: "tcp://10.0.0.1:9070",
        BULKHEAD_S3_PORT_9070_TCP_ADDR: "10.0.0.1",
        BULKHEAD_ADMIN_URL: "http://127.0.0.1:9071",
        BULKHEAD_TEST_SEED: "1",
        BULKHEAD_CONFIG: "bulkhead.yaml",
      },
    });
  });
});
