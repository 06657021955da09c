import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CopyObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { type Front, KEYS, openFront, ROOT, readSocket } from "../../../support/s3-front.ts";

const DOMAIN = "s3.test";
let front: Front;
before(async () => {
  front = await openFront({ settings: { domain: DOMAIN } });
  await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
  await front.service.createBucket({ principal: ROOT, bucket: "dotted.bucket", location: "" });
});
after(() => front[Symbol.asyncDispose]());

/** As signatures want it: all but letters, digits, `-._~` and slashes. */
function encodePath(key: string): string {
  const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(key)
    .replaceAll("%2F", "/")
    .replace(/[!'()*]/g, percent);
}

function keysOf(bucket = "bucket"): string[] {
  return [...(front.service.buckets.get(bucket)?.objects.keys() ?? [])];
}

describe("keys", () => {
  const KEYS_OF_ALL_KINDS = [
    "plain",
    "a//b",
    "/leading",
    "//",
    "trailing/",
    "./a",
    "../a",
    "a/./b/../c",
    ".",
    "..",
    "a b",
    " ",
    "a+b",
    "a%2Fb",
    "%",
    "a?b&c=d#e",
    "ünïcödé/日本",
    "😀",
    "\u0001",
    "\u007f",
    "tab\tcr\rlf\n",
    "!'()*~;:@,$[]{}|\\^`\"<>",
    "k".repeat(1024),
  ];

  for (const key of KEYS_OF_ALL_KINDS) {
    test(`${JSON.stringify(key.slice(0, 40))} is one of its own, in a path and after the bucket's host`, async () => {
      const path = encodePath(key);
      const virtual = { host: `bucket.${DOMAIN}` };
      front.service.buckets.get("bucket")?.objects.clear();
      assert.equal((await front.send({ method: "PUT", target: `/bucket/${path}`, body: key })).status, 200);
      assert.deepEqual(keysOf(), [key]);
      const got = await front.send({ target: `/${path}`, headers: virtual });
      assert.deepEqual([got.status, got.text], [200, key]);
    });
  }

  test("of any kind come through the SDK unchanged", async () => {
    for (const Key of KEYS_OF_ALL_KINDS) {
      // The SDK takes these two out of the path, whatever they stand for.
      if (Key === "." || Key === "..") continue;
      front.service.buckets.get("bucket")?.objects.clear();
      await front.client.send(new PutObjectCommand({ Bucket: "bucket", Key, Body: "x" }));
      assert.deepEqual(keysOf(), [Key]);
      await front.client.send(new GetObjectCommand({ Bucket: "bucket", Key }));
    }
  });

  test("longer than 1,024 bytes are refused", async () => {
    const { status, text } = await front.send({ method: "PUT", target: `/bucket/${"k".repeat(1025)}`, body: "x" });
    assert.equal(status, 400);
    assert.match(text, /<Code>KeyTooLongError<\/Code>.*<Size>1025<\/Size><MaxSizeAllowed>1024</);
  });

  test("that are no UTF-8, or cannot be decoded, are refused", async () => {
    for (const path of ["%ff", "%", "%4", "%zz", "%c3%28"]) {
      const { status, text } = await front.send({ target: `/bucket/${path}` });
      assert.equal(status, 400, path);
      assert.match(text, /<Code>InvalidURI</);
    }
  });
});

describe("buckets", () => {
  test("may be named by the host, dots and all", async () => {
    for (const bucket of ["bucket", "dotted.bucket"]) {
      const headers = { host: `${bucket}.${DOMAIN}:9070` };
      assert.equal((await front.send({ method: "PUT", target: "/by/host", headers, body: "x" })).status, 200);
      assert.ok(keysOf(bucket).includes("by/host"));
      const list = await front.send({ target: "/?list-type=2", headers });
      assert.match(list.text, new RegExp(`<Name>${bucket}</Name>.*<Key>by/host</Key>`));
    }
  });

  test("are named by the path where the host is the domain itself or another", async () => {
    for (const host of [DOMAIN, "127.0.0.1", "other.example"]) {
      assert.equal((await front.send({ method: "HEAD", target: "/bucket", headers: { host } })).status, 200);
      assert.match((await front.send({ target: "/", headers: { host } })).text, /ListAllMyBucketsResult/);
    }
  });

  test("may be addressed by a whole URL, as proxies do", async () => {
    const urls: [url: string, code: string][] = [
      [`http://${DOMAIN}/bucket`, "AccessDenied"],
      // Express cannot take this one apart.
      ["http://[bad/bucket", "AccessDenied"],
      ["ftp://x/bucket", "InvalidURI"],
      ["*", "InvalidURI"],
    ];
    for (const [url, code] of urls) {
      const socket = await front.connect();
      socket.end(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`);
      assert.match(await readSocket(socket), new RegExp(`^HTTP/1.1 40[03] [^]*<Code>${code}</Code>`), url);
    }
  });

  test("without a name are none", async () => {
    assert.match((await front.send({ target: "//key" })).text, /<Code>InvalidBucketName</);
  });
});

describe("presigned URLs", () => {
  const Bucket = "bucket";
  const fetchText = async (url: string, init: RequestInit = {}): Promise<[number, string]> => {
    const response = await fetch(url, init);
    return [response.status, await response.text()];
  };

  test("put and get, with what they say of the object", async () => {
    const put = new PutObjectCommand({ Bucket, Key: "pre signed+", ContentType: "text/x", Metadata: { a: "1" } });
    const url = await getSignedUrl(front.client, put, { expiresIn: 60, unhoistableHeaders: new Set() });
    assert.deepEqual(await fetchText(url, { method: "PUT", body: "by link" }), [200, ""]);
    assert.deepEqual(front.service.last("putObject").attributes.metadata, [["a", "1"]]);
    const get = new GetObjectCommand({ Bucket, Key: "pre signed+", ResponseContentType: "text/override" });
    const link = await getSignedUrl(front.client, get, { expiresIn: 60 });
    const response = await fetch(link);
    assert.equal(response.headers.get("content-type"), "text/override");
    assert.equal(await response.text(), "by link");
  });

  test("are good for nothing else", async () => {
    const link = await getSignedUrl(front.client, new GetObjectCommand({ Bucket, Key: "one" }), { expiresIn: 60 });
    for (const altered of [link.replace("/one?", "/two?"), `${link}&versionId=null`]) {
      const [status, text] = await fetchText(altered);
      assert.equal(status, 403);
      assert.match(text, /<Code>SignatureDoesNotMatch</);
    }
    assert.equal((await fetchText(link, { method: "DELETE" }))[0], 403);
  });

  test("do not lose what their signer moved from headers to the query", async () => {
    const put = { Bucket, Key: "one" };
    const theirs = new PutObjectCommand({ ...put, ExpectedBucketOwner: "111122223333" });
    const tagged = new PutObjectCommand({ ...put, Tagging: "a=b" });
    const copied = new CopyObjectCommand({ ...put, CopySource: "bucket/two" });
    for (const [command, code] of [
      [theirs, "AccessDenied"],
      [tagged, "NotImplemented"],
      [copied, "NotImplemented"],
    ] as const) {
      const url = await getSignedUrl(front.client, command as PutObjectCommand, { expiresIn: 60 });
      assert.match((await fetchText(url, { method: "PUT", body: "" }))[1], new RegExp(`<Code>${code}</Code>`));
    }
  });

  test("end when they say so", async () => {
    const signingDate = new Date(Date.UTC(2020, 0, 1));
    const command = new GetObjectCommand({ Bucket, Key: "one" });
    const [status, text] = await fetchText(await getSignedUrl(front.client, command, { expiresIn: 60, signingDate }));
    assert.equal(status, 403);
    assert.match(text, /<Code>AccessDenied<\/Code><Message>Request has expired</);
  });
});

describe("who asks", () => {
  test("must be somebody", async () => {
    for (const target of ["/", "/bucket", "/bucket/key"]) {
      const { status, text } = await front.send({ target, anonymous: true });
      assert.equal(status, 403);
      assert.match(text, /<Code>AccessDenied</);
    }
  });

  test("must have a key and sign with its secret", async () => {
    const wrong = front.clientWith({ credentials: { ...KEYS, secretAccessKey: "wrong" } });
    const unknown = front.clientWith({ credentials: { ...KEYS, accessKeyId: "NOBODY" } });
    const temporary = front.clientWith({ credentials: { ...KEYS, sessionToken: "token" } });
    const elsewhere = front.clientWith({ region: "eu-west-1", followRegionRedirects: false });
    const get = new GetObjectCommand({ Bucket: "bucket", Key: "key" });
    await assert.rejects(wrong.send(get), { name: "SignatureDoesNotMatch" });
    await assert.rejects(unknown.send(get), { name: "InvalidAccessKeyId", AWSAccessKeyId: "NOBODY" });
    await assert.rejects(temporary.send(get), { name: "InvalidToken" });
    await assert.rejects(elsewhere.send(get), { name: "AuthorizationHeaderMalformed", Region: "us-east-1" });
  });

  test("is believed for a quarter of an hour", async () => {
    const late = front.clientWith({ systemClockOffset: -16 * 60_000 });
    await assert.rejects(late.send(new GetObjectCommand({ Bucket: "bucket", Key: "key" })), {
      name: /RequestTimeTooSkewed|NoSuchKey/,
    });
    assert.ok(front.finished.some(({ errorCode }) => errorCode === "RequestTimeTooSkewed"));
  });
});
