import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import { assertCode } from "../../support/object-client.ts";
import { MIB, openBox } from "../../support/open-box.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));

test("a deleted object is gone at once, and its copies go after the grace time", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  await client.put("box/large", patternBytes(3 * MIB, 2));
  await client.delete("box/a");
  await client.delete("box/large");
  await assertCode(client.get("box/a"), "no-such-key");
  assert.deepEqual(await client.keys("box"), []);
  await gateway.sweep();
  assert.equal(gateway.node("d0-0").store.blobs.size, 4);
  await client.service.deleteBucket("box");
  await gateway.quiesce();
  await assertNothingLeft(gateway);
});

test("deleting what is not there succeeds and changes nothing", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  let commits = 0;
  gateway.kv.hooks.commit = (_, pass) => {
    commits++;
    return pass();
  };
  await client.delete("box/b");
  await client.service.deleteObject({ bucket: "box", key: "a", versionId: "1".repeat(32) });
  assert.equal(commits, 0);
  assert.deepEqual(await client.keys("box"), ["a"]);
  await client.service.deleteObject({ bucket: "box", key: "a", versionId: "null" });
  assert.deepEqual(await client.keys("box"), []);
});

test("an object is deleted under If-Match only as what the condition names", async () => {
  const { client } = await openBox();
  const { etag } = await client.put("box/a", BYTES);
  const remove = (ifMatch: string): Promise<void> => client.service.deleteObject({ bucket: "box", key: "a", ifMatch });
  await assertCode(remove("0".repeat(32)), "precondition-failed");
  assert.deepEqual(await client.keys("box"), ["a"]);
  await remove(etag);
  await assertCode(remove(etag), "no-such-key");
  await assertCode(remove("*"), "no-such-key");
});

test("a key that is too long is refused", async () => {
  const { client } = await openBox();
  await assertCode(client.delete(`box/${"k".repeat(1_025)}`), "key-too-long");
});

test("many are deleted at once, each with an outcome of its own, in the order asked", async () => {
  const { gateway, client } = await openBox();
  const keys = Array.from({ length: 150 }, (_, i) => `k${i}`);
  for (const key of keys) await client.put(`box/${key}`, BYTES);
  const { etag } = await client.put("box/guarded", BYTES);
  await client.put("box/kept", BYTES);
  const targets = [
    ...keys.map((key) => ({ key })),
    { key: "k0" },
    { key: "absent" },
    { key: "kept", ifMatch: "other" },
    { key: "guarded", ifMatch: etag },
    { key: "k".repeat(1_025) },
  ];
  const outcomes = await client.service.deleteObjects({ bucket: "box", targets });
  assert.deepEqual(
    outcomes.map(({ target }) => target),
    targets,
  );
  const failures = outcomes.flatMap((outcome) => (outcome.deleted ? [] : [[outcome.target.key, outcome.error.code]]));
  assert.deepEqual(failures, [
    ["kept", "precondition-failed"],
    ["k".repeat(1_025), "key-too-long"],
  ]);
  assert.deepEqual(await client.keys("box"), ["kept"]);
  await assertSound(gateway);
});

test("deleting many says nothing of any when the catalog cannot be used", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.kv.hooks.commit = () => Promise.reject(new CatalogError("unavailable", "closed"));
  const targets = [{ key: "a" }, { key: "b" }];
  await assertCode(client.service.deleteObjects({ bucket: "box", targets }), "unavailable");
});
