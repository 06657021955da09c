/** URLs of `bulkhead presign` in the hands of plain HTTP clients. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { bulkhead } from "../support/gateway-cli.ts";
import { missingPrograms, runProgram, succeed } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";

const missing = missingPrograms("curl", "python3");
const skip = missing ?? false;

/** curl itself folds `.` and `..`; Python's requests does, too. */
const KEYS = [
  "plain.txt",
  "a b",
  "a+b",
  "100%",
  "100%25",
  "ü/日本/🪣",
  "a//b",
  "/first",
  "'(!*)'",
  "?&=#;",
  "~-_.",
  "a\\b",
];

/** Reads a URL with requests, sends the SHA-256 of what came. */
const PYTHON_READ = `
import hashlib, sys
try:
    import requests
except ImportError:
    sys.exit(77)
answer = requests.get(sys.argv[1])
print(answer.status_code, hashlib.sha256(answer.content).hexdigest(), len(answer.history))
`;

describe("bulkhead presign", { skip }, () => {
  let gateway: Gateway;

  before(async () => {
    gateway = await startGateway();
    using client = clientOf(gateway);
    await client.send(new CreateBucketCommand({ Bucket: "box" }));
  });
  after(() => gateway[Symbol.asyncDispose]());

  for (const key of KEYS) {
    test(`an object is written, looked at and read by URLs of its key: ${key}`, async () => {
      const body = `the bytes of ${key}`;
      const file = join(gateway.dataDir, "body");
      await writeFile(file, body);
      const presign = (method: string): Promise<string> =>
        bulkhead(gateway, "presign", `s3://box/${key}`, "--method", method, "--expires", "5min");
      await succeed("curl", ["-sS", "--fail-with-body", "-T", file, await presign("PUT")]);
      using client = clientOf(gateway);
      const stored = await client.send(new GetObjectCommand({ Bucket: "box", Key: key }));
      assert.equal(await stored.Body?.transformToString(), body);
      const head = await succeed("curl", ["-sS", "-f", "-I", await presign("HEAD")]);
      assert.match(head, new RegExp(`^Content-Length: ${Buffer.byteLength(body)}\r$`, "m"));
      const url = await presign("GET");
      assert.equal(await succeed("curl", ["-sS", "--fail-with-body", url]), body);
      const { code, stdout } = await runProgram("python3", ["-c", PYTHON_READ, url]);
      if (code === 77) return;
      assert.equal(stdout.trim(), `200 ${createHash("sha256").update(body).digest("hex")} 0`);
    });
  }

  test("a URL is for its method, its object and its time only", async () => {
    using client = clientOf(gateway);
    await client.send(new PutObjectCommand({ Bucket: "box", Key: "kept", Body: "kept" }));
    const url = await bulkhead(gateway, "presign", "s3://box/kept");
    const status = async (...args: string[]): Promise<string> =>
      succeed("curl", ["-sS", "-o", join(gateway.dataDir, "out"), "-w", "%{http_code}", ...args]);
    assert.equal(await status(url), "200");
    assert.equal(await readFile(join(gateway.dataDir, "out"), "utf8"), "kept");
    assert.equal(await status("-X", "DELETE", url), "403");
    assert.equal(await status(url.replace("/kept?", "/other?")), "403");
    assert.equal(await status(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")), "403");
  });

  test("a life that is too short or too long is refused by the name of what is wrong", async () => {
    for (const expires of ["0s", "604801s", "8d"]) {
      await assert.rejects(
        bulkhead(gateway, "presign", "s3://box/a", "--expires", expires),
        /expires_seconds: must be a whole number of seconds from 1 to 604800/,
      );
    }
  });
});

test("behind a public address and with a domain, URLs are for them", { skip }, async () => {
  const server = { s3: { publicUrl: "https://s3.example.com", domain: "s3.example.com" } };
  await using gateway = await startGateway({ config: { server } });
  using client = clientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "box" }));
  await client.send(new PutObjectCommand({ Bucket: "box", Key: "a b", Body: "bytes" }));
  const url = new URL(await bulkhead(gateway, "presign", "s3://box/a b"));
  assert.equal(url.origin + url.pathname, "https://box.s3.example.com/a%20b");
  // As the proxy at that address passes it on.
  const arriving = `${gateway.s3Url}${url.pathname}${url.search}`;
  assert.equal(await succeed("curl", ["-sS", "-f", "-H", `Host: ${url.host}`, arriving]), "bytes");
});
