import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { CHECKSUM_ALGORITHMS } from "../../../src/catalog/records/version.ts";
import { PUT_BYTES_MAX } from "../../../src/objects/put-object.ts";
import { loadChecksums } from "../../../src/shared/checksums.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound } from "../../support/catalog-audit.ts";
import { ALICE, assertCode, bodyOf, chunksOf } from "../../support/object-client.ts";
import { type Box, MIB, openBox } from "../../support/open-box.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const MD5 = createHash("md5").update(BYTES).digest();
const SHA256 = createHash("sha256").update(BYTES).digest();
const WRONG = Buffer.alloc(32, 7);
const KINDS = { CRC32: "crc32", CRC32C: "crc32c", CRC64NVME: "crc64nvme", SHA1: "sha1", SHA256: "sha256" } as const;

/** Fails unless neither the catalog nor a node holds anything of an object. */
async function assertNothingStored({ gateway, client }: Box): Promise<void> {
  await gateway.settle();
  const { versions, blobs } = await assertSound(gateway);
  assert.equal(versions.size + blobs.size, 0);
  for (const { store } of gateway.nodes.values()) assert.equal(store.blobs.size, 0);
  assert.deepEqual(await client.keys("box"), []);
}

test("an object is what it was put as", async () => {
  const { gateway, client } = await openBox();
  const attributes = {
    headers: [["content-type", "text/plain"]] as const,
    metadata: [
      ["colour", "grün"],
      ["empty", ""],
    ] as const,
    storageClass: "STANDARD_IA",
  };
  const put = await client.put("box/a", BYTES, { attributes });
  assert.deepEqual(put, { etag: MD5.toString("hex"), size: BYTES.length });
  const { object, range } = await client.head("box/a");
  assert.deepEqual(object, {
    key: "a",
    size: BYTES.length,
    etag: put.etag,
    modifiedAtMs: gateway.clock.nowMs(),
    owner: ALICE,
    ...attributes,
  });
  assert.equal(range, undefined);
  assert.deepEqual((await client.list("box")).objects, [object]);
  assert.deepEqual(await client.get("box/a"), BYTES);
});

test("bodies of any length, in chunks of any size, are what they were", async () => {
  for (const length of [0, 1, 262_143, 262_144, 262_145, MIB, MIB + 1, 3 * MIB - 1]) {
    const { client } = await openBox();
    const bytes = Buffer.from(patternBytes(length, length));
    for (const chunkBytes of [1_000_003, 4_099]) {
      const body = { length, stream: chunksOf(bytes, chunkBytes), expected: {} };
      const { etag } = await client.put("box/a", body);
      assert.equal(etag, createHash("md5").update(bytes).digest("hex"));
      assert.ok((await client.get("box/a")).equals(bytes), `${length} bytes`);
    }
  }
});

test("digests that are right are taken, and a checksum is kept whether or not it was stated", async () => {
  const { client } = await openBox();
  const checksums = await loadChecksums();
  await client.put("box/a", bodyOf(BYTES, { md5: MD5, sha256: SHA256 }));
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const hasher = checksums.start(KINDS[algorithm]);
    hasher.update(BYTES);
    const digest = Buffer.from(hasher.digest());
    for (const stated of [digest, undefined]) {
      const expected = { checksum: { algorithm, value: () => stated } };
      const { checksum } = await client.put("box/a", bodyOf(BYTES, expected));
      assert.deepEqual(checksum, { algorithm, type: "FULL_OBJECT", value: digest.toString("base64") });
      assert.deepEqual((await client.head("box/a")).object.checksum, checksum);
    }
  }
});

test("a checksum's value is asked for after the last byte, as it may come in a trailer", async () => {
  const { client } = await openBox();
  let read = 0;
  async function* stream(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(BYTES, 300)) {
      read += chunk.length;
      yield chunk;
    }
  }
  const value = (): Uint8Array | undefined => {
    assert.equal(read, BYTES.length);
    return SHA256;
  };
  await client.put("box/a", {
    length: BYTES.length,
    stream: stream(),
    expected: { checksum: { algorithm: "SHA256", value } },
  });
});

test("a digest that differs refuses the body, and nothing of it is left", async () => {
  const box = await openBox();
  for (const length of [0, 1_000, 2 * MIB + 5]) {
    const bytes = patternBytes(length, 1);
    const put = (expected: Parameters<typeof bodyOf>[1]): Promise<unknown> =>
      box.client.put("box/a", bodyOf(bytes, expected));
    await assertCode(put({ md5: WRONG.subarray(0, 16) }), "bad-digest");
    await assertCode(put({ sha256: WRONG }), "bad-sha256");
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      const error = await assertCode(
        put({ checksum: { algorithm, value: () => WRONG.subarray(0, 8) } }),
        "bad-checksum",
      );
      assert.equal(error.details["algorithm"], algorithm);
    }
    await assertNothingStored(box);
  }
});

test("a body of another length than was announced is refused, and nothing of it is left", async () => {
  const box = await openBox();
  for (const [announced, actual] of [
    [0, 1],
    [1, 0],
    [1_000, 999],
    [1_000, 1_001],
    [MIB, MIB + 1],
    [2 * MIB, MIB],
    [2 * MIB + 5, 2 * MIB + 4],
    [MIB + 700_000, 3 * MIB],
  ] as const) {
    const body = { length: announced, stream: chunksOf(patternBytes(actual, 1)), expected: {} };
    await assertCode(box.client.put("box/a", body), "incomplete-body");
    await assertNothingStored(box);
  }
});

test("what a body's stream throws ends the put, and nothing of the body is left", async () => {
  const box = await openBox();
  const broken = new Error("the client is gone");
  for (const length of [0, 1_000, 3 * MIB]) {
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(patternBytes(Math.floor(length / 2), 1));
      throw broken;
    }
    await assert.rejects(box.client.put("box/a", { length, stream: stream(), expected: {} }), broken);
    await assertNothingStored(box);
  }
});

test("a body that is given up by its signal is given up, and released", async () => {
  const box = await openBox();
  for (const length of [1_000, 3 * MIB]) {
    const caller = new AbortController();
    let released = false;
    async function* stream(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of chunksOf(patternBytes(length, 1))) {
          caller.abort();
          yield chunk;
        }
      } finally {
        released = true;
      }
    }
    const body = { length, stream: stream(), expected: {} };
    await assertCode(box.client.put("box/a", body, { signal: caller.signal }), "aborted");
    assert.ok(released);
    await assertNothingStored(box);
  }
});

test("what is larger than a put may be, or has a longer key, is refused before a byte is read", async () => {
  const box = await openBox();
  const unread = {
    [Symbol.asyncIterator]: () => assert.fail("the body was read"),
  };
  const body = (length: number): Parameters<typeof box.client.put>[1] => ({ length, stream: unread, expected: {} });
  const error = await assertCode(box.client.put("box/a", body(PUT_BYTES_MAX + 1)), "too-large");
  assert.deepEqual(error.details, { proposedSize: PUT_BYTES_MAX + 1, maxSizeAllowed: PUT_BYTES_MAX });
  await assertCode(box.client.put(`box/${"ü".repeat(513)}`, body(10)), "key-too-long");
  await assertCode(box.client.put("box/a", body(10), { conditions: { ifMatch: "x" } }), "no-such-key");
  await box.client.put(`box/${"ü".repeat(512)}`, BYTES);
});

test("a put under a condition that does not hold leaves what is there, and nothing of its own", async () => {
  const { gateway, client } = await openBox();
  const { etag } = await client.put("box/a", BYTES, { conditions: { ifNoneMatch: "*" } });
  const other = patternBytes(2 * MIB, 2);
  await assertCode(client.put("box/a", other, { conditions: { ifNoneMatch: "*" } }), "precondition-failed");
  await assertCode(client.put("box/a", other, { conditions: { ifMatch: "0".repeat(32) } }), "precondition-failed");
  assert.deepEqual(await client.get("box/a"), BYTES);
  await client.put("box/a", other, { conditions: { ifMatch: etag } });
  assert.ok((await client.get("box/a")).equals(other));
  await gateway.settle();
  await assertSound(gateway);
});

test("nodes that are full are told apart from nodes that are away", async () => {
  const { client } = await openBox({ capacityBytes: 999 });
  await assertCode(client.put("box/a", BYTES), "insufficient-storage");
  const away = await openBox();
  away.gateway.nodeDown("d0-0");
  away.gateway.nodeDown("d1-0");
  await assertCode(away.client.put("box/a", BYTES), "not-enough-copies");
  const both = await openBox({ capacityBytes: 999 });
  both.gateway.nodeFails("d0-0");
  await assertCode(both.client.put("box/a", BYTES), "not-enough-copies");
});
