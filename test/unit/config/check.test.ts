import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { loaded, problemsOf, storageYaml } from "./support.ts";

/** Problems without their places. */
function refusals(yaml: string, env: Record<string, string> = {}): string[] {
  return problemsOf({ yaml, env }).map(({ property, reason }) => `${property}: ${reason}`);
}

/** Domains a and b, and these nodes. */
function nodesYaml(...nodes: string[]): string {
  return `storage:\n  active-domains: [a, b]\n  nodes:\n${nodes.map((node) => `    - { ${node} }\n`).join("")}`;
}
const A = "name: node-a, endpoint: 'volume:/a', faultDomain: a";
const B = "name: node-b, endpoint: 'volume:/b', faultDomain: b";
const KEYS = "accessKey: key, secretKey: secret";

describe("the server", () => {
  test("cannot listen twice on one port", () => {
    const same = "must differ from server.s3.listen: one port cannot serve both";
    const both = (s3: string, admin: string): string =>
      `server: { s3: { listen: "${s3}" }, admin: { listen: "${admin}" } }`;
    assert.deepEqual(refusals(both("127.0.0.1:1", "127.0.0.1:1")), [`server.admin.listen: ${same}`]);
    assert.deepEqual(refusals(both("0.0.0.0:1", "127.0.0.1:1")), [`server.admin.listen: ${same}`]);
    assert.deepEqual(refusals(both("localhost:1", "[::]:1")), [`server.admin.listen: ${same}`]);
    assert.deepEqual(refusals('server: { s3: { listen: "127.0.0.1:9071" } }'), [`server.admin.listen: ${same}`]);
    loaded({ yaml: both("127.0.0.1:0", "127.0.0.1:0") });
    loaded({ yaml: both("127.0.0.1:1", "127.0.0.2:1") });
  });

  test("wants a root key whole", () => {
    assert.deepEqual(refusals("", { BULKHEAD_ROOT_SECRET_KEY: "long-enough" }), [
      "server.rootKey.accessKey: must be given together with server.rootKey.secretKey",
    ]);
    assert.deepEqual(refusals("", { BULKHEAD_ROOT_ACCESS_KEY: "root" }), [
      "server.rootKey.secretKey: must be given together with server.rootKey.accessKey",
    ]);
  });
});

describe("domains", () => {
  test("are listed where there are nodes, at least one and each once", () => {
    assert.deepEqual(refusals(`storage: { nodes: [{ ${A} }] }`), [
      "storage.active-domains: must be given where there are nodes",
    ]);
    assert.deepEqual(refusals("storage: { active-domains: [] }"), [
      "storage.active-domains: must name at least one domain",
    ]);
    assert.deepEqual(refusals("storage: { active-domains: [a, b, a] }"), [
      "storage.active-domains[2]: is listed twice",
    ]);
  });

  test("are either active or standby", () => {
    const reason = "storage.standby-domain: must not be an active domain as well";
    assert.deepEqual(refusals("storage: { active-domains: [a, b], standby-domain: b }"), [reason]);
    assert.deepEqual(refusals("storage: { standby-domain: b }"), [reason]);
  });

  test("that have settings exist, have a name and have them once", () => {
    const settings = "  domains: [{ name: a }, { name: q }, { minNodes: 1 }, { name: a }]";
    assert.deepEqual(refusals(storageYaml(settings)), [
      "storage.domains[1].name: must be an active domain or the standby domain: a, b",
      "storage.domains[2].name: must be given",
      "storage.domains[3].name: is given twice",
    ]);
  });

  test("that are active hold copies on nodes of their own", () => {
    assert.deepEqual(refusals(nodesYaml(A)), ["storage.active-domains[1]: is an active domain without any node"]);
    assert.deepEqual(refusals(storageYaml("  domains: [{ name: a, replicaCount: 2 }, { name: b, replicaCount: 0 }]")), [
      "storage.domains[0].replicaCount: must be at most 1, the number of the domain's nodes with a physicalStorageId of their own",
      "storage.domains[1].replicaCount: must be at least 1 in an active domain; acceptsWrites: false keeps copies out of it",
    ]);
    const twin = "name: node-a2, endpoint: 'volume:/a2', faultDomain: a";
    const two = "  domains: [{ name: a, replicaCount: 2 }]\n";
    loaded({ yaml: nodesYaml(A, twin, B) + two });
    assert.match(
      refusals(nodesYaml(`${A}, physicalStorageId: d`, `${twin}, physicalStorageId: d`, B) + two)[0] ?? "",
      /replicaCount: must be at most 1/,
    );
  });

  test("on standby take no planned copies", () => {
    const yaml = storageYaml("  standby-domain: s\n  domains: [{ name: s, replicaCount: 1, acceptsWrites: true }]");
    const reason = "of the standby domain: it takes no planned copies until a node is promoted";
    assert.deepEqual(refusals(yaml), [
      `storage.domains[0].replicaCount: must be 0, the only number ${reason}`,
      `storage.domains[0].acceptsWrites: must be false, the only value ${reason}`,
    ]);
    loaded({ yaml: storageYaml("  standby-domain: s") });
  });

  test("that take no writes do not count for the factor", () => {
    const yaml = storageYaml("  domains: [{ name: a, acceptsWrites: false }]");
    assert.equal(loaded({ yaml }).config.storage.replication.factor, 1);
    assert.deepEqual(refusals(`${yaml}\n  replication: { factor: 2 }`), [
      "storage.replication.factor: must be at most 1, the number of active domains that accept writes",
    ]);
    const none = storageYaml("  domains: [{ name: a, acceptsWrites: false }, { name: b, acceptsWrites: false }]");
    assert.deepEqual(refusals(none), ["storage.active-domains: must hold at least one domain that accepts writes"]);
  });
});

describe("replication", () => {
  test("has a quorum of at most its factor", () => {
    assert.deepEqual(refusals("storage: { replication: { factor: 1, quorum: 2 } }"), [
      "storage.replication.quorum: must be at most 1, the factor",
    ]);
    assert.deepEqual(refusals("storage: { replication: { quorum: 3 } }"), [
      "storage.replication.quorum: must be at most 2, the number of active domains that accept writes, which is the factor",
    ]);
  });

  for (const [quorum, resolved] of [
    ["auto", 2],
    ["majority", 2],
    ["all", 3],
    ["1", 1],
  ] as const) {
    test(`reads a quorum of ${quorum} of three domains as ${resolved}`, () => {
      const env = { BULKHEAD_STORAGE_ACTIVEDOMAINS: '["a","b","c"]', BULKHEAD_STORAGE_REPLICATION_QUORUM: quorum };
      assert.equal(loaded({ env }).config.storage.replication.quorum, resolved);
    });
  }

  test("with degraded writes records what is missing, and asks for no more copies than there are nodes", () => {
    assert.match(
      refusals("storage: { degraded-write: { track-for-sync: false } }")[0] ?? "",
      /^storage.degraded-write.track-for-sync: must be true while/,
    );
    loaded({ yaml: "storage: { degraded-write: { enabled: false, track-for-sync: false } }" });
    assert.deepEqual(refusals(storageYaml("  degraded-write: { min-replicas: 3 }")), [
      "storage.degraded-write.min-replicas: must be at most 2, the number of nodes",
    ]);
  });

  test("does not wait for a lagging target as long as for a stalled one", () => {
    const [problem] = problemsOf({ yaml: "storage: { write: { stall-timeout: 500ms } }" });
    assert.deepEqual(problem, {
      property: "storage.write.lag-timeout",
      value: "'1s'",
      reason: "must be shorter than storage.write.stall-timeout",
      source: { kind: "file", fileName: "bulkhead.yaml", line: 1, column: 12 },
    });
  });
});

describe("nodes", () => {
  test("have a name, an endpoint and a domain", () => {
    assert.deepEqual(refusals(nodesYaml("weight: 1")), [
      "storage.nodes[0].name: must be given",
      "storage.nodes[0].endpoint: must be given",
      "storage.nodes[0].faultDomain: must be given",
    ]);
  });

  test("stand in a domain that exists", () => {
    assert.deepEqual(refusals(nodesYaml(A, B, "name: n, endpoint: 'volume:/n', faultDomain: q")), [
      "storage.nodes[2].faultDomain: must be an active domain or the standby domain: a, b",
    ]);
  });

  test("share no name and no place, however it is spelled", () => {
    const s3 = (name: string, url: string, bucket: string): string =>
      `name: ${name}, endpoint: "${url}", bucket: ${bucket}, faultDomain: a, ${KEYS}`;
    const place = (other: number): string =>
      `is the place of storage.nodes[${other}] as well: the same endpoint and bucket, or the same folder`;
    const yaml = nodesYaml(
      A,
      B,
      "name: node-a, endpoint: 'volume:/other', faultDomain: a",
      "name: node-c, endpoint: 'volume://x/../b/./', faultDomain: a",
      s3("node-d", "http://127.0.0.1:9000", "bucket"),
      s3("node-e", "HTTP://Localhost:9000/", "bucket"),
      s3("node-f", "http://localhost:9000", "another"),
      s3("node-g", "http://localhost:9001", "bucket"),
    );
    assert.deepEqual(refusals(yaml), [
      "storage.nodes[2].name: is the name of two nodes",
      `storage.nodes[3].endpoint: ${place(1)}`,
      `storage.nodes[5].endpoint: ${place(4)}`,
    ]);
  });

  test("on S3 endpoints have keys, their own or those for all", () => {
    const s3 = "name: node-c, endpoint: 'http://h:9000', faultDomain: a";
    assert.deepEqual(refusals(nodesYaml(A, B, s3)), [
      "storage.nodes[2].accessKey: must be given here or for all nodes, as storage.accessKey",
      "storage.nodes[2].secretKey: must be given here or for all nodes, as storage.secretKey",
    ]);
    assert.deepEqual(refusals(nodesYaml(A, B, `${s3}, accessKey: key`)), [
      "storage.nodes[2].secretKey: must be given together with accessKey",
    ]);
    const shared = { BULKHEAD_STORAGE_ACCESSKEY: "key", BULKHEAD_STORAGE_SECRETKEY: "shared-secret" };
    const { secrets } = loaded({ yaml: nodesYaml(A, B, s3), env: shared });
    assert.equal(secrets.nodes.get("node-c")?.secretKey.reveal(), "shared-secret");
    assert.deepEqual(refusals(nodesYaml(A, B, s3), { BULKHEAD_STORAGE_ACCESSKEY: "key" }), [
      "storage.secretKey: must be given together with storage.accessKey",
    ]);
  });

  test("on S3 endpoints have a bucket with a valid name", () => {
    const s3 = `endpoint: 'https://h', faultDomain: a, ${KEYS}`;
    assert.deepEqual(refusals(nodesYaml(A, B, `name: Node_C, ${s3}`)), [
      "storage.nodes[2].bucket: must be given, because the node's name Node_C is no valid bucket name",
    ]);
    const node = loaded({ yaml: nodesYaml(A, B, `name: Node_C, bucket: node-c, ${s3}`) }).config.storage.nodes[2];
    assert.equal(node?.kind === "s3" && node.bucket, "node-c");
    assert.equal(node?.host, "h");
  });

  test("that had another name say so by one that no other node has, and by the bucket that their copies are in", () => {
    const s3 = `name: node-c, endpoint: 'http://h', faultDomain: a, ${KEYS}, formerName: old-c`;
    assert.deepEqual(refusals(nodesYaml(A, B, s3)), [
      "storage.nodes[2].bucket: must be given together with formerName, as the copies lie in it: old-c if none was given",
    ]);
    const { nodes } = loaded({ yaml: nodesYaml(`${A}, formerName: old-a`, B, `${s3}, bucket: old-c`) }).config.storage;
    assert.deepEqual(
      nodes.map(({ formerName }) => formerName),
      ["old-a", undefined, "old-c"],
    );
    const taken = "is a name that another node has, or had";
    assert.deepEqual(refusals(nodesYaml(`${A}, formerName: same`, `${B}, formerName: same`)), [
      `storage.nodes[0].formerName: ${taken}`,
      `storage.nodes[1].formerName: ${taken}`,
    ]);
    const [a, b] = nodes;
    assert.deepEqual(refusals(nodesYaml(`${A}, formerName: ${b?.name}`, B)), [`storage.nodes[0].formerName: ${taken}`]);
    assert.deepEqual(refusals(nodesYaml(`${A}, formerName: ${a?.name}`, B)), [
      "storage.nodes[0].formerName: is its name now",
    ]);
  });

  test("have an authority's file only for https, and an index folder only for volumes", () => {
    const s3 = `name: node-c, endpoint: 'http://h', faultDomain: a, ${KEYS}, caFile: /ca.pem, indexPath: /i`;
    assert.deepEqual(refusals(nodesYaml(A, B, s3)), [
      "storage.nodes[2].caFile: has no use unless the endpoint begins with https://",
      "storage.nodes[2].indexPath: has no use unless the endpoint is volume:PATH",
    ]);
  });

  test("take the external endpoint of their own, of their domain or of all", () => {
    const s3 = (name: string, domain: string, more = ""): string =>
      `name: ${name}, endpoint: 'http://${name}', faultDomain: ${domain}, ${KEYS}${more}`;
    const yaml =
      nodesYaml(s3("node-a", "a"), s3("node-b", "b"), s3("node-c", "b", ", externalEndpoint: 'https://own'")) +
      "  external-endpoint: https://all\n  domains: [{ name: b, externalEndpoint: 'https://domain' }]\n";
    const externals = loaded({ yaml }).config.storage.nodes.map((node) => node.kind === "s3" && node.externalEndpoint);
    assert.deepEqual(externals, ["https://all", "https://domain", "https://own"]);
  });
});
