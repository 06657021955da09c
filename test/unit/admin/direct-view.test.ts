import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketsSchema, pinsSchema, presignedUrlSchema } from "../../../src/admin/direct-types.ts";
import {
  buckets,
  changeBucket,
  type DirectContext,
  dropPin,
  pins,
  presign as presignOn,
} from "../../../src/admin/direct-view.ts";
import { ApiError } from "../../../src/admin/problem.ts";
import { createPresigner } from "../../../src/s3/presign.ts";
import { adminContext } from "../../support/admin-context.ts";
import { patternBytes } from "../../support/blobs.ts";
import { answerAsS3, URL_KEYS } from "../../support/direct.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import type { ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

interface World {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
  readonly context: DirectContext;
}

async function openWorld(): Promise<World> {
  const { gateway, client } = await openBox();
  answerAsS3(gateway);
  return { gateway, client, context: adminContext(gateway) };
}

/** The answer, provided that it is what the API describes. */
async function presign(context: DirectContext, body: unknown): ReturnType<typeof presignOn> {
  const answer = await presignOn(context, body);
  assert.deepEqual(presignedUrlSchema.parse(answer), answer);
  return answer;
}

async function assertProblem(promise: Promise<unknown>, status: number, detail: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, status, error.message);
    assert.match(error.message, detail);
    return true;
  });
}

test("a URL of the gateway is signed for what it is asked for, an hour unless said otherwise", async () => {
  const { gateway, context } = await openWorld();
  const answer = await presign(context, { bucket: "box", key: "a b" });
  const { method, expires_at, node, pin, differences } = answer;
  assert.deepEqual({ method, node, pin, differences }, { method: "GET", node: null, pin: null, differences: [] });
  assert.equal(Date.parse(expires_at), gateway.clock.nowMs() + 3_600_000);
  const url = new URL(answer.url);
  assert.equal(url.origin + url.pathname, "http://127.0.0.1:9070/box/a%20b");
  assert.equal(url.searchParams.get("X-Amz-Expires"), "3600");
  assert.match(url.searchParams.get("X-Amz-Credential") ?? "", /^ROOTKEY\//);
  const put = await presign(context, { bucket: "box", key: "a", method: "PUT", expires_seconds: 1 });
  assert.deepEqual([put.method, new URL(put.url).searchParams.get("X-Amz-Expires")], ["PUT", "1"]);
  const old = await presign(context, { bucket: "box", key: "a", method: "HEAD", version_id: "null" });
  assert.equal(new URL(old.url).searchParams.get("versionId"), "null");
});

const OBJECT = { bucket: "box", key: "a" };
const REFUSED: readonly (readonly [body: unknown, detail: RegExp])[] = [
  [undefined, /./],
  ["text", /./],
  [{ bucket: "box" }, /^key: /],
  [{ key: "a" }, /^bucket: /],
  [{ ...OBJECT, bucket: "No" }, /^bucket: /],
  [{ ...OBJECT, key: "" }, /^key: must be 1 to 1024 bytes/],
  [{ ...OBJECT, key: "ü".repeat(513) }, /^key: /],
  [{ ...OBJECT, key: "\ud800" }, /^key: /],
  [{ ...OBJECT, method: "DELETE" }, /^method: /],
  [{ ...OBJECT, expires_seconds: 0 }, /^expires_seconds: must be .* from 1 to 604800/],
  [{ ...OBJECT, expires_seconds: 604_801 }, /^expires_seconds: must be/],
  [{ ...OBJECT, expires_seconds: 1.5 }, /^expires_seconds: must be/],
  [{ ...OBJECT, expires_seconds: "60" }, /^expires_seconds: must be/],
  [{ ...OBJECT, method: "PUT", version_id: "null" }, /^version_id: /],
  [{ ...OBJECT, method: "PUT", direct: true }, /^method: /],
  [{ ...OBJECT, node: "d0-0" }, /^node: /],
  [{ ...OBJECT, other: 1 }, /other/],
];

test("what cannot be signed is refused by the name of what is wrong", async () => {
  const { context } = await openWorld();
  for (const [body, detail] of REFUSED) await assertProblem(presign(context, body), 400, detail);
  const everywhere = { ...context, presign: createPresigner({}, URL_KEYS, () => "http://0.0.0.0:9070") };
  await assertProblem(presign(everywhere, OBJECT), 409, /server\.s3\.publicUrl/);
});

test("a URL of a node names its node and its pin, which is listed until it is removed", async () => {
  const { gateway, client, context } = await openWorld();
  await client.put("box/a", patternBytes(100, 1));
  const answer = await presign(context, { ...OBJECT, direct: true, node: "d1-0", expires_seconds: 604_800 });
  assert.match(answer.url, /^direct:d1-0\//);
  assert.deepEqual([answer.node, answer.differences], ["d1-0", []]);
  const listed = await pins(context);
  assert.deepEqual(pinsSchema.parse(listed), listed);
  assert.deepEqual(
    listed.pins.map(({ pin, bucket, key, node, node_id, ended }) => ({ pin, bucket, key, node, node_id, ended })),
    [{ pin: answer.pin, ...OBJECT, node: "d1-0", node_id: gateway.node("d1-0").uuid, ended: false }],
  );
  assert.equal(Date.parse(listed.pins[0]?.until ?? ""), Date.parse(answer.expires_at) + 900_000);
  await assertProblem(dropPin(context, "none"), 404, /no pin none/);
  assert.deepEqual(await dropPin(context, answer.pin ?? ""), { pins: [] });
  assert.equal((await presign(context, { ...OBJECT, direct: true, expires_seconds: 60 })).pin, null);
});

test("a URL of a node is refused where there is no such object, node or copy, and says why", async () => {
  const { gateway, client, context } = await openWorld();
  const direct = { ...OBJECT, direct: true };
  await assertProblem(presign(context, direct), 404, /key does not exist/);
  await assertProblem(presign(context, { ...direct, bucket: "none" }), 404, /bucket does not exist/);
  await assertProblem(presign(context, { ...direct, node: "none" }), 404, /no node none/);
  await client.put("box/a", new Uint8Array(0));
  await assertProblem(presign(context, direct), 409, /not one blob/);
  await client.put("box/a", patternBytes(100, 1));
  for (const name of ["d0-0", "d1-0"]) gateway.nodeDown(name);
  await assertProblem(presign(context, direct), 503, /No S3 node/);
});

test("buckets are listed with what is set of them, page by page, and changed", async () => {
  const { client, context } = await openWorld();
  await client.createBucket("abc");
  const changed = await changeBucket(context, "box", { read_redirect: true });
  assert.deepEqual(
    changed.buckets.map(({ name, read_redirect }) => [name, read_redirect]),
    [["box", true]],
  );
  const all = await buckets(context, "");
  assert.deepEqual(bucketsSchema.parse(all), all);
  assert.deepEqual(
    all.buckets.map(({ name, read_redirect }) => [name, read_redirect]),
    [
      ["abc", false],
      ["box", true],
    ],
  );
  assert.equal(all.next, null);
  assert.deepEqual((await buckets(context, "abc")).buckets, changed.buckets);
  assert.deepEqual((await buckets(context, "box")).buckets, []);
  await changeBucket(context, "box", { read_redirect: false });
  assert.equal((await buckets(context, "abc")).buckets[0]?.read_redirect, false);
  await assertProblem(changeBucket(context, "none", { read_redirect: true }), 404, /bucket/);
  await assertProblem(changeBucket(context, "box", {}), 400, /read_redirect/);
  await assertProblem(changeBucket(context, "box", { read_redirect: "on" }), 400, /^read_redirect/);
  await assertProblem(changeBucket(context, "box", { other: true }), 400, /other/);
  await assertProblem(buckets(context, "x".repeat(64)), 400, /^after/);
});
