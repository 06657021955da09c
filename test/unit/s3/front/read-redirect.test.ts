import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { ReadRedirects } from "../../../../src/s3/call.ts";
import { type Front, openFront } from "../../../support/s3-front.ts";

const NODE_URL = "http://node.example.com/bucket/copy?signed";

/** A front whose object `box/a` lies on a node, and the reads that it was asked to send there. */
async function openRedirecting(url: string | null = NODE_URL): Promise<{ front: Front; asked: unknown[] }> {
  const asked: unknown[] = [];
  const redirects: ReadRedirects = {
    async redirect(target) {
      asked.push(target);
      return url ?? undefined;
    },
  };
  const front = await openFront({ redirects });
  await front.client.send(new CreateBucketCommand({ Bucket: "box" }));
  await front.client.send(new PutObjectCommand({ Bucket: "box", Key: "a", Body: "bytes" }));
  return { front, asked };
}

type Input = Partial<ConstructorParameters<typeof GetObjectCommand>[0]>;

function signed(front: Front, input: Input = {}): Promise<string> {
  return getSignedUrl(front.client, new GetObjectCommand({ Bucket: "box", Key: "a", ...input }), { expiresIn: 60 });
}

function fetchOnce(url: string, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { redirect: "manual", ...init });
}

test("a plain presigned read is sent on, and nobody keeps the address", async () => {
  const { front, asked } = await openRedirecting();
  await using _front = front;
  const answer = await fetchOnce(await signed(front));
  assert.equal(answer.status, 307);
  assert.equal(answer.headers.get("location"), NODE_URL);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(await answer.text(), "");
  assert.equal((await fetchOnce(await signed(front, { VersionId: "null" }))).status, 307);
  assert.deepEqual(asked, [
    { bucket: "box", key: "a" },
    { bucket: "box", key: "a", versionId: "null" },
  ]);
});

test("what no node can offer is served here", async () => {
  const { front, asked } = await openRedirecting(null);
  await using _front = front;
  const answer = await fetchOnce(await signed(front));
  assert.equal(await answer.text(), "bytes");
  assert.equal(asked.length, 1);
});

test("a request with signed headers is never sent on: SDKs follow no redirect", async () => {
  const { front, asked } = await openRedirecting();
  await using _front = front;
  const { Body } = await front.client.send(new GetObjectCommand({ Bucket: "box", Key: "a" }));
  assert.equal(await Body?.transformToString(), "bytes");
  assert.deepEqual(asked, []);
});

const DATE = new Date(0).toUTCString();
const NEVER: readonly { readonly what: string; readonly input?: Input; readonly headers?: Record<string, string> }[] = [
  { what: "a range", headers: { range: "bytes=0-1" } },
  { what: "what may be a range", headers: { "if-range": '"x"' } },
  { what: "a part", input: { PartNumber: 1 } },
  { what: "another content type", input: { ResponseContentType: "text/x" } },
  { what: "another disposition", input: { ResponseContentDisposition: "inline" } },
  { what: "a matching ETag", headers: { "if-match": "*" } },
  { what: "another ETag", headers: { "if-none-match": '"x"' } },
  { what: "a newer object", headers: { "if-modified-since": DATE } },
  { what: "an older object", headers: { "if-unmodified-since": new Date(2 ** 41).toUTCString() } },
];

for (const { what, input = {}, headers = {} } of NEVER) {
  test(`a presigned read of ${what} is served here`, async () => {
    const { front, asked } = await openRedirecting();
    await using _front = front;
    const answer = await fetchOnce(await signed(front, input), { headers });
    assert.ok([200, 206].includes(answer.status), String(answer.status));
    await answer.arrayBuffer();
    assert.deepEqual(asked, []);
  });
}

test("a header that a node would refuse, as it is not signed for it, keeps the read here", async () => {
  const { front, asked } = await openRedirecting();
  await using _front = front;
  const command = new GetObjectCommand({ Bucket: "box", Key: "a", ChecksumMode: "ENABLED" });
  const unhoistableHeaders = new Set(["x-amz-checksum-mode"]);
  const url = await getSignedUrl(front.client, command, { unhoistableHeaders });
  const answer = await fetchOnce(url, { headers: { "x-amz-checksum-mode": "ENABLED" } });
  assert.equal(answer.status, 200, await answer.text());
  assert.deepEqual(asked, []);
});

test("HEAD is answered here", async () => {
  const { front, asked } = await openRedirecting();
  await using _front = front;
  const url = await getSignedUrl(front.client, new HeadObjectCommand({ Bucket: "box", Key: "a" }));
  assert.equal((await fetchOnce(url, { method: "HEAD" })).status, 200);
  assert.deepEqual(asked, []);
});
