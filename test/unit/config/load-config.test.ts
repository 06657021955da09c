import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { linesOf, loaded, problemsOf, storageYaml } from "./support.ts";

/** As the design documents have it, and as users are promised that it starts. */
const DOCUMENTED_EXAMPLE = `
storage:
  active-domains: [domain-a, domain-b]
  standby-domain: standby
  virtualNodesPerNode: 150
  replication: { factor: 2, quorum: auto }
  nodes:
    - { name: node-a1, endpoint: "http://127.0.0.1:9001", accessKey: "\${S3_ACCESS_KEY}", secretKey: "\${S3_SECRET_KEY}", faultDomain: domain-a, weight: 100, enabled: true, metricsPath: /minio/v2/metrics/node }
    - { name: node-b1, endpoint: "http://127.0.0.1:9002", accessKey: "\${S3_ACCESS_KEY}", secretKey: "\${S3_SECRET_KEY}", faultDomain: domain-b }
    - { name: node-s1, endpoint: "http://127.0.0.1:9003", accessKey: "\${S3_ACCESS_KEY}", secretKey: "\${S3_SECRET_KEY}", faultDomain: standby }
  domains:
    - { name: domain-a, minNodes: 1, replicaCount: 1, acceptsWrites: true }
    - { name: domain-b, minNodes: 1, replicaCount: 1, acceptsWrites: true }
    - { name: standby, minNodes: 0, replicaCount: 0, acceptsWrites: false }
`;
const KEYS = { S3_ACCESS_KEY: "minioadmin", S3_SECRET_KEY: "minio-secret" };

describe("without a file and environment", () => {
  test("two domains with an embedded node each lie in the data folder", () => {
    const { config, secrets } = loaded({});
    assert.equal(config.server.dataDir, "./data");
    assert.deepEqual(config.server.s3.listen, { host: "127.0.0.1", port: 9070 });
    assert.deepEqual(config.server.admin.listen, { host: "127.0.0.1", port: 9071 });
    assert.deepEqual(config.catalog, { kind: "lmdb", path: "data/catalog" });
    assert.deepEqual(config.coordinator, { kind: "embedded" });
    assert.deepEqual(
      config.storage.nodes.map((node) => [node.name, node.domain, node.kind === "volume" && node.path]),
      [
        ["a1", "a", "data/nodes/a1"],
        ["b1", "b", "data/nodes/b1"],
      ],
    );
    assert.deepEqual([config.storage.replication.factor, config.storage.replication.quorum], [2, 2]);
    assert.equal(secrets.rootKey, undefined);
    assert.equal(secrets.adminApiKey, undefined);
  });

  test("an empty file and one of comments change nothing", () => {
    assert.deepEqual(loaded({ yaml: "" }), loaded({}));
    assert.deepEqual(loaded({ yaml: "# nothing\nstorage:\n  # nothing\nserver:\n" }), loaded({}));
  });

  test("active domains alone get an embedded node each", () => {
    const { config } = loaded({ env: { BULKHEAD_STORAGE_ACTIVEDOMAINS: '["x","y","z"]' } });
    assert.deepEqual(
      config.storage.nodes.map(({ name }) => name),
      ["x1", "y1", "z1"],
    );
    assert.deepEqual([config.storage.replication.factor, config.storage.replication.quorum], [3, 2]);
  });
});

describe("the file", () => {
  test("the documented example starts as it is", () => {
    const { config, secrets } = loaded({ yaml: DOCUMENTED_EXAMPLE, env: KEYS });
    assert.deepEqual(config.storage.domains.at(-1), {
      name: "standby",
      role: "standby",
      minNodes: 0,
      replicaCount: 0,
      acceptsWrites: false,
    });
    const [node] = config.storage.nodes;
    assert.deepEqual(node, {
      kind: "s3",
      name: "node-a1",
      domain: "domain-a",
      endpoint: "http://127.0.0.1:9001",
      bucket: "node-a1",
      region: "us-east-1",
      weight: 100,
      enabled: true,
      physicalStorageId: "node-a1",
      host: "localhost",
      diskType: "unknown",
      metricsPath: "/minio/v2/metrics/node",
    });
    assert.equal(secrets.nodes.get("node-s1")?.secretKey.reveal(), "minio-secret");
  });

  test("kebab and camel case mean the same", () => {
    const kebab = loaded({ yaml: storageYaml("  virtual-nodes-per-node: 7\n  read: { hedge-delay-ms: 9 }") });
    const camel = loaded({ yaml: storageYaml("  virtualNodesPerNode: 7\n  read: { hedgeDelayMs: 9 }") });
    assert.deepEqual(kebab, camel);
    assert.equal(kebab.config.storage.virtualNodesPerNode, 7);
    assert.equal(kebab.config.storage.read.hedgeDelayMs, 9);
  });

  test("a setting in both cases is refused", () => {
    const yaml = storageYaml("  virtual-nodes-per-node: 7\n  virtualNodesPerNode: 8");
    assert.deepEqual(linesOf({ yaml }), [
      "bulkhead.yaml:6:3: storage.virtual-nodes-per-node = 7: is given twice, the second time as virtualNodesPerNode",
    ]);
  });

  test("anchors and aliases are followed", () => {
    const yaml = `
storage:
  active-domains: [a]
  external-endpoint: &url https://s3.example.com
  nodes: [{ name: node-a, endpoint: *url, faultDomain: a, accessKey: key, secretKey: secret }]
`;
    const [node] = loaded({ yaml }).config.storage.nodes;
    assert.equal(node?.kind === "s3" && node.endpoint, "https://s3.example.com");
    assert.equal(node?.kind === "s3" && node.externalEndpoint, "https://s3.example.com");
  });

  test("an alias bomb and a circle are refused", () => {
    const layers = Array.from(
      { length: 12 },
      (_, i) => `a${i + 1}: &a${i + 1} [${"*a".concat(String(i), ", ").repeat(9)}]`,
    );
    assert.match(linesOf({ yaml: ["a0: &a0 x", ...layers].join("\n") })[0] ?? "", /nested too deeply, or has too many/);
    assert.match(linesOf({ yaml: "storage: &s { nodes: *s }" })[0] ?? "", /nested too deeply, or has too many/);
  });

  test("what is no YAML is named with its place and without the lines around it", () => {
    const [problem, ...more] = problemsOf({ yaml: "storage:\n  secretKey: hush-hush\n bad: [" });
    assert.ok(problem?.source?.kind === "file" && problem.source.line === 3);
    assert.match(problem.reason, /^is no valid YAML: /);
    assert.ok(!inspect([problem, ...more]).includes("hush"));
  });

  test("a root that is no group, an unknown key and __proto__ are refused", () => {
    assert.deepEqual(linesOf({ yaml: "- 1" }), ["must be a group of settings"]);
    assert.deepEqual(linesOf({ yaml: "sever: {}\n__proto__: { a: 1 }" }), [
      "bulkhead.yaml:1:1: sever: is no known setting (did you mean server?)",
      "bulkhead.yaml:2:1: __proto__: is no known setting",
    ]);
  });

  test("a file that is too large is refused", () => {
    assert.match(linesOf({ yaml: `# ${"x".repeat(2 ** 20)}` })[0] ?? "", /the file is larger than 1048576 bytes/);
  });

  test("lists longer than their limit are refused", () => {
    const yaml = `storage: { active-domains: [${Array.from({ length: 101 }, (_, i) => `d${i}`).join()}] }`;
    assert.deepEqual(linesOf({ yaml }), ["bulkhead.yaml:1:12: storage.active-domains: must have at most 100 entries"]);
  });
});

describe("${NAME}", () => {
  test("is replaced wherever a value stands, and numbers and flags read their text", () => {
    const yaml = storageYaml(
      '  virtual-nodes-per-node: ${VNODES}\n  rebalance: { enabled: "${ON}" }\nserver: { dataDir: "/srv/${WHO}/${WHO}" }',
    );
    const { config } = loaded({ yaml, env: { VNODES: "20", ON: "false", WHO: "me" } });
    assert.equal(config.storage.virtualNodesPerNode, 20);
    assert.equal(config.storage.rebalance.enabled, false);
    assert.equal(config.server.dataDir, "/srv/me/me");
  });

  test("is refused by name where it is not set, every one of them", () => {
    const lines = linesOf({ yaml: DOCUMENTED_EXAMPLE, env: { S3_ACCESS_KEY: "minioadmin" } });
    assert.equal(lines.length, 3);
    assert.equal(
      lines[0],
      "bulkhead.yaml:8:90: storage.nodes[0].secretKey: the environment variable S3_SECRET_KEY is not set",
    );
  });

  test("reads the file that NAME_FILE names", () => {
    const env = { S3_ACCESS_KEY: "minioadmin", S3_SECRET_KEY_FILE: "/run/secrets/s3" };
    const { secrets } = loaded({ yaml: DOCUMENTED_EXAMPLE, env, files: { "/run/secrets/s3": "from-file\n" } });
    assert.equal(secrets.nodes.get("node-a1")?.secretKey.reveal(), "from-file");
  });

  test("is written $${NAME} where it is meant literally, and is not looked up twice", () => {
    const yaml = 'server: { dataDir: "$${A}/${B}" }';
    assert.equal(loaded({ yaml, env: { B: "${A}" } }).config.server.dataDir, "${A}/${A}");
  });

  test("must hold the name of a variable", () => {
    assert.match(
      linesOf({ yaml: 'server: { dataDir: "${A:-b}" }' })[0] ?? "",
      /does not name an environment variable$/,
    );
  });
});

describe("secrets", () => {
  test("do not show when configuration and secrets are printed", () => {
    const env = {
      ...KEYS,
      BULKHEAD_ROOT_ACCESS_KEY: "root",
      BULKHEAD_ROOT_SECRET_KEY: "root-secret",
      BULKHEAD_ADMIN_API_KEY: "admin-secret",
    };
    const result = loaded({ yaml: DOCUMENTED_EXAMPLE, env });
    assert.equal(result.secrets.rootKey?.secretKey.reveal(), "root-secret");
    assert.equal(result.secrets.adminApiKey?.reveal(), "admin-secret");
    const { secrets } = result;
    const shown = [
      inspect(result, { depth: 9, showHidden: true }),
      inspect(secrets, { depth: 9, customInspect: false }),
      JSON.stringify([result.config, secrets, [...secrets.nodes]]),
      String(secrets.adminApiKey),
    ].join();
    assert.ok(!/root-secret|admin-secret|minio-secret/.test(shown), shown);
  });

  test("do not show in problems, not even under a misspelled name or in a URL", () => {
    const yaml = `
catalog: { url: "postgres://user:hush@db" }
server: { s3: { publicUrl: "http://user:hush@host" } }
storage:
  secretkey: hush
  accessKey: "hush hush"
  nodes: [{ name: n, endpoint: "https://user:hush@host", faultDomain: a, secretKey: "hush hush", metricsToken: "hush hush" }]
`;
    const problems = problemsOf({ yaml, env: { BULKHEAD_STORAGE_DOMAINS: "hush", BULKHEAD_ADMIN_API_KEY: "hush hu" } });
    assert.equal(problems.length, 10);
    assert.ok(!inspect(problems).includes("hush"), inspect(problems));
  });
});

describe("problems", () => {
  test("are all reported at once, each with property, value, reason and place", () => {
    const yaml = `
server: { workers: 4, s3: { listen: "1.2.3.4" } }
storage:
  active-domains: [a, b]
  replication: { factor: 3, quorum: most }
  degraded-write: { track-for-sync: false }
  nodes:
    - { name: n1, endpoint: "ftp://x", faultDomain: zz, weight: -5 }
    - { name: n1, endpoint: "volume:/x", faultDomain: a }
    - { endpoint: "volume:/x/", faultDomain: b }
`;
    assert.deepEqual(linesOf({ yaml }), [
      "bulkhead.yaml:2:11: server.workers = 4: must be 1 because several worker processes are not in this version",
      "bulkhead.yaml:2:29: server.s3.listen = '1.2.3.4': must be HOST:PORT such as 127.0.0.1:9070 or [::1]:9070",
      "bulkhead.yaml:5:18: storage.replication.factor = 3: must be at most 2, the number of active domains that accept writes",
      "bulkhead.yaml:5:29: storage.replication.quorum = 'most': must be auto, majority or all, or a whole number from 1 to 100",
      "bulkhead.yaml:6:21: storage.degraded-write.track-for-sync = false: must be true while storage.degraded-write.enabled is true: copies that are not recorded stay missing",
      "bulkhead.yaml:8:19: storage.nodes[0].endpoint = 'ftp://x': must be volume:PATH, or http:// or https:// with a host and maybe a port",
      "bulkhead.yaml:8:40: storage.nodes[0].faultDomain = 'zz': must be an active domain or the standby domain: a, b",
      "bulkhead.yaml:8:57: storage.nodes[0].weight = -5: must be a whole number from 0 to 10000",
      "bulkhead.yaml:9:9: storage.nodes[1].name = 'n1': is the name of two nodes",
      "bulkhead.yaml:10:7: storage.nodes[2].name: must be given",
      "bulkhead.yaml:10:9: storage.nodes[2].endpoint = 'volume:/x/': is the place of storage.nodes[1] as well: the same endpoint and bucket, or the same folder",
    ]);
  });

  test("name what this version does not have yet", () => {
    const yaml = `
server: { workers: 2 }
catalog: { url: "postgres://db/bulkhead" }
storage: { active-domains: [a], nodes: [{ name: n, endpoint: "bulkhead://h:1", faultDomain: a }] }
`;
    const reasons = problemsOf({ yaml }).map(({ property, reason }) => [
      property,
      /(\S+ \S+) not in this/.exec(reason)?.[1],
    ]);
    assert.deepEqual(reasons, [
      ["server.workers", "processes are"],
      ["catalog.url", "PostgreSQL is"],
      ["storage.nodes[0].endpoint", "bulkhead:// is"],
    ]);
  });
});
