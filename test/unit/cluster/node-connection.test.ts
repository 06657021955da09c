/** How the catalog keeps the way to a node: its bytes, and who can read the keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { RecordError } from "../../../src/catalog/records/codec.ts";
import { connectionCodec, type NodeConnection, type S3Connection } from "../../../src/cluster/node-connection.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { Secret } from "../../../src/shared/secret.ts";

const CLUSTER_ID = "0192c4100190f3a2b4c5001122334455";
const UUID = "0192c4100191f3a2b4c5001122334455";
const OTHER = "0192c4100192f3a2b4c5001122334455";
const KEY = Buffer.alloc(32, 7);

const S3: S3Connection = {
  kind: "s3",
  endpoint: "http://127.0.0.1:9001",
  bucket: "node-x",
  region: "us-east-1",
  metricsPath: "/m",
  keys: { accessKey: "access", secretKey: new Secret("the-secret-of-x"), metricsToken: new Secret("token") },
};

function codec(key: Uint8Array = KEY, seed = 1) {
  return connectionCodec(key, CLUSTER_ID, seededRandom(seed));
}

/** With the keys as texts, to compare. */
function plain(connection: NodeConnection): unknown {
  if (connection.kind === "volume" || connection.keys === undefined) return connection;
  const { accessKey, secretKey, metricsToken } = connection.keys;
  return { ...connection, keys: [accessKey, secretKey.reveal(), metricsToken?.reveal()] };
}

test("a connection comes back as it was written (property)", () => {
  const text = fc.string({ minLength: 1, maxLength: 30 });
  const s3 = fc
    .record({
      endpoint: text,
      bucket: text,
      region: text,
      metricsPath: text,
      secret: text,
      token: fc.option(text),
      ca: fc.option(text),
    })
    .map(
      ({ secret, token, ca, ...rest }): NodeConnection => ({
        kind: "s3",
        ...rest,
        ...(ca === null ? {} : { ca }),
        keys: {
          accessKey: secret,
          secretKey: new Secret(secret),
          ...(token === null ? {} : { metricsToken: new Secret(token) }),
        },
      }),
    );
  const volume = fc
    .record({ path: text, index: fc.option(text) })
    .map(
      ({ path, index }): NodeConnection => ({ kind: "volume", path, ...(index === null ? {} : { indexPath: index }) }),
    );
  fc.assert(
    fc.property(fc.oneof(s3, volume), (connection) => {
      assert.deepEqual(plain(codec().decode(UUID, codec().encode(UUID, connection))), plain(connection));
    }),
  );
});

test("the format is what is on disks", () => {
  assert.equal(
    codec().encode(UUID, { kind: "volume", path: "/disks/x", indexPath: "/ssd/x" }).toString("hex"),
    "0193a6766f6c756d65a82f6469736b732f78a62f7373642f78",
  );
  const { keys: _keys, ...bare } = S3;
  assert.equal(
    codec().encode(UUID, bare).toString("hex"),
    "0198a27333b5687474703a2f2f3132372e302e302e313a39303031a66e6f64652d78a975732d656173742d31c0c0a22f6dc0",
  );
});

test("a sealed record that an earlier version wrote can be opened", () => {
  const written = codec().encode(UUID, S3);
  assert.equal(written.toString("hex"), SEALED);
  assert.deepEqual(plain(codec(KEY, 99).decode(UUID, Buffer.from(SEALED, "hex"))), plain(S3));
});

/** AES-256-GCM under HKDF-SHA256 of the cluster's key, salted with the cluster's id, bound to the node. */
const SEALED =
  "0198a27333b5687474703a2f2f3132372e302e302e313a39303031a66e6f64652d78a975732d656173742d31c0c0a22f6dc4679e272f05c2005ae1e302ce68725ea3e6109954f3ae93adcb4ef4dc1b315f86ae84c00e673428248032aec3d1e878e7c731a181d4fa5559f59349666cafe0261b7c83205e503cc3b5c012129c5ca1d70a6095033b69c7d8a67f00c3d99958736bba8d388d8667b3";

test("the keys are not in the bytes, and whoever shows the connection does not show them", () => {
  const written = codec().encode(UUID, S3);
  for (const secret of ["the-secret-of-x", "access", "token"]) assert.ok(!written.includes(secret), secret);
  assert.ok(!JSON.stringify(S3).includes("the-secret-of-x"));
  assert.ok(!inspect(S3, { depth: 9 }).includes("the-secret-of-x"));
});

test("the same keys are sealed into other bytes each time", () => {
  assert.notDeepEqual(codec(KEY, 1).encode(UUID, S3), codec(KEY, 2).encode(UUID, S3));
});

test("under another cluster's key, in another node's record, or damaged, the keys stay closed and the rest is read", () => {
  const written = codec().encode(UUID, S3);
  const damaged = Buffer.from(written);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  const { keys: _keys, ...bare } = S3;
  assert.deepEqual(codec(Buffer.alloc(32, 8)).decode(UUID, written), bare);
  assert.deepEqual(codec().decode(OTHER, written), bare);
  assert.deepEqual(codec().decode(UUID, damaged), bare);
});

test("a record of a later format is refused", () => {
  assert.throws(() => codec().decode(UUID, Buffer.of(2, 0x90)), RecordError);
});
