/**
 * G16: whole objects in memory, fixed 24 h links, one external endpoint for all. That no object is held in memory whole
 * is shown by test/faults/memory.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directNodeOf } from "../../../src/compose/direct.ts";
import type { DirectNode } from "../../../src/nodes/s3/direct-node.ts";
import { loaded } from "../config/support.ts";

const CLUSTER = "0".repeat(32);
const COPY = `00000001/${"a".repeat(32)}`;

const YAML = `storage:
  active-domains: [a, b]
  accessKey: shared-key
  secretKey: shared-secret
  external-endpoint: https://nodes.example.com
  nodes:
    - { name: node-a, endpoint: "http://10.0.0.1:9000", faultDomain: a, externalEndpoint: "https://a.example.com:9443", region: eu-west-1 }
    - { name: node-b1, endpoint: "http://10.0.1.1:9000", faultDomain: b, accessKey: own-key, secretKey: own-secret }
    - { name: node-b2, endpoint: "http://10.0.1.2:9000", faultDomain: b, externalEndpoint: "http://b2.vpn:9000" }
    - { name: node-v, endpoint: "volume:/srv/v", faultDomain: a }
  domains: [{ name: b, externalEndpoint: "https://b.example.com" }]
`;

function nodes(yaml = YAML): Map<string, DirectNode> {
  const { config, secrets } = loaded({ yaml });
  return new Map(
    config.storage.nodes.flatMap((node): [string, DirectNode][] => {
      const direct = directNodeOf({ config: node, keys: secrets.nodes.get(node.name) }, CLUSTER);
      return direct === undefined ? [] : [[node.name, direct]];
    }),
  );
}

function urlOf(name: string, expiresSeconds: number, from = nodes()): URL {
  const node = from.get(name) ?? assert.fail(`${name} cannot be read by others`);
  return new URL(node.sign(COPY, { method: "GET", nowMs: Date.UTC(2026, 0, 1), expiresSeconds, headers: [] }));
}

test("G16: a node's URL is signed for the node's own external endpoint, else its domain's, else the cluster's", () => {
  const origins = ["node-a", "node-b1", "node-b2"].map((name) => urlOf(name, 60).origin);
  assert.deepEqual(origins, ["https://a.example.com:9443", "https://b.example.com", "http://b2.vpn:9000"]);
  const general = nodes(YAML.replace(/^ {2}domains:.*\n/m, ""));
  assert.equal(urlOf("node-b1", 60, general).origin, "https://nodes.example.com");
  // The host is under the signature: one URL with another host is another URL.
  const signature = (name: string): string | null => urlOf(name, 60, nodes(YAML)).searchParams.get("X-Amz-Signature");
  assert.notEqual(signature("node-b1"), urlOf("node-b1", 60, general).searchParams.get("X-Amz-Signature"));
  assert.ok(!nodes().has("node-v"), "a volume is read by the gateway alone");
});

test("G16: a node's URL is signed with the node's own keys and region", () => {
  const credential = (name: string): string => urlOf(name, 60).searchParams.get("X-Amz-Credential") ?? "";
  assert.equal(credential("node-a"), "shared-key/20260101/eu-west-1/s3/aws4_request");
  assert.equal(credential("node-b1"), "own-key/20260101/us-east-1/s3/aws4_request");
});

test("G16: a link lives as long as it was asked to, 1 s to 7 d", () => {
  for (const seconds of [1, 60, 86_400, 604_800]) {
    assert.equal(urlOf("node-a", seconds).searchParams.get("X-Amz-Expires"), String(seconds));
  }
  for (const seconds of [0, 604_801]) assert.throws(() => urlOf("node-a", seconds), RangeError);
});

test("G16: without an external endpoint a URL is for the endpoint that the gateway uses, and no read is sent there", () => {
  const inside = nodes(YAML.replace(/^ {2}(domains|external-endpoint):.*\n/gm, ""));
  assert.equal(urlOf("node-b1", 60, inside).origin, "http://10.0.1.1:9000");
  assert.deepEqual(
    [...inside].map(([name, { external }]) => [name, external]),
    [
      ["node-a", true],
      ["node-b1", false],
      ["node-b2", true],
    ],
  );
});
