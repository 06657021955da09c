import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { once } from "node:events";
import { Agent } from "node:http";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { ObjectError } from "../../../../src/objects/api.ts";
import { DISCARD_BYTES_MAX } from "../../../../src/s3/http/send-answer.ts";
import { type Front, type FrontOptions, openFront, ROOT, readSocket } from "../../../support/s3-front.ts";

const PUT = { method: "PUT", target: "/bucket/key" };
const UNSIGNED = { ...PUT, payload: "UNSIGNED-PAYLOAD" };

async function open(options: FrontOptions = {}): Promise<Front> {
  const front = await openFront(options);
  await front.service.createBucket({ principal: ROOT, bucket: "bucket", location: "" });
  return front;
}

/** Resolves when the connection is closed, however. */
async function closed(socket: Socket): Promise<void> {
  socket.on("error", () => {}).resume();
  if (!socket.closed) await once(socket, "close");
}

/** Generous: a bound, so that a mistake fails a test instead of hanging it. */
const UNTIL_MS_MAX = 30_000;

/** Resolves when something has come about that nobody tells of. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + UNTIL_MS_MAX;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("it did not come about");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Resolves when no request is open any more. */
function idle(front: Front): Promise<void> {
  return until(() => front.open() === 0);
}

function answers(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d\d\d)/g)].map(([, status = ""]) => status);
}

describe("Expect: 100-continue", () => {
  const expecting = {
    ...PUT,
    headers: { expect: "100-continue", "content-length": "5" },
    payload: hash("sha256", "hello"),
  };

  test("is answered when the body is wanted, which is after what can be checked without it", async () => {
    await using front = await open();
    const socket = await front.connect();
    socket.write(`${front.head(expecting)}\r\n`);
    assert.match(await readSocket(socket, (text) => text.includes("\r\n\r\n")), /^HTTP\/1\.1 100 Continue/);
    socket.write("hello");
    assert.match(await readSocket(socket, (text) => text.includes("\r\n\r\n")), /^HTTP\/1\.1 200 OK/);
    assert.equal(String(front.service.bytesOf("bucket", "key")), "hello");
    socket.destroy();
  });

  const refusals: [what: string, request: Parameters<Front["head"]>[0], code: string][] = [
    ["the bucket is not there", { ...expecting, target: "/nowhere/key" }, "NoSuchBucket"],
    ["nobody asks", { ...expecting, anonymous: true }, "AccessDenied"],
    [
      "a header is refused",
      { ...expecting, headers: { ...expecting.headers, "x-amz-tagging": "a=b" } },
      "NotImplemented",
    ],
    ["a condition fails", { ...expecting, headers: { ...expecting.headers, "if-match": '"e"' } }, "NoSuchKey"],
    ["a digest is none", { ...expecting, headers: { ...expecting.headers, "content-md5": "x" } }, "InvalidDigest"],
  ];
  for (const [what, request, code] of refusals) {
    test(`is not answered where ${what}: the error comes at once, and the connection ends`, async () => {
      await using front = await open();
      const socket = await front.connect();
      socket.write(`${front.head(request)}\r\n`);
      const text = await readSocket(socket, (got) => got.includes("</Error>"));
      assert.ok(!text.includes("100 Continue"));
      assert.match(text, new RegExp(`Connection: close[^]*<Code>${code}</Code>`));
      socket.end();
      await closed(socket);
      await idle(front);
    });
  }

  test("does no harm without a body", async () => {
    await using front = await open();
    const socket = await front.connect();
    socket.write(`${front.head({ target: "/bucket", headers: { expect: "100-continue" } })}\r\n`);
    assert.deepEqual(answers(await readSocket(socket, (text) => text.includes("</ListBucketResult>"))), ["200"]);
    socket.destroy();
  });
});

describe("a connection", () => {
  test("carries many requests, failed ones among them", async () => {
    await using front = await open();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    agent.on("free", (socket: Socket) => ports.add(socket.localPort));
    const statuses: number[] = [];
    for (const request of [
      { ...PUT, body: "x", agent },
      { target: "/bucket/none", agent },
      { method: "HEAD", target: "/bucket/none", agent },
      { ...PUT, target: "/nowhere/key", body: "not read", agent },
      { ...PUT, body: "x", headers: { "content-md5": "none" }, agent },
      { target: "/bucket/%zz", agent },
      { target: "/bucket/key", anonymous: true, agent },
      { method: "DELETE", target: "/bucket/key", agent },
      { target: "/bucket", headers: { "if-none-match": "*" }, agent },
    ]) {
      statuses.push((await front.send(request)).status);
    }
    assert.deepEqual(statuses, [200, 404, 404, 404, 400, 400, 403, 204, 200]);
    assert.equal(ports.size, 1);
    agent.destroy();
  });

  test("serves requests that come before their answers one after the other", async () => {
    await using front = await open();
    const gate = Promise.withResolvers<void>();
    front.service.hold("putObject", gate.promise);
    const socket = await front.connect();
    const put = { ...PUT, headers: { "content-length": "1" }, payload: hash("sha256", "x") };
    const get = { target: "/bucket/key" };
    const remove = { ...get, method: "DELETE" };
    socket.write(
      `${front.head(put)}\r\nx${[get, remove, get].map((request) => `${front.head(request)}\r\n`).join("")}`,
    );
    await until(() => front.open() > 0);
    gate.resolve();
    const text = await readSocket(socket, (got) => answers(got).length === 4);
    assert.deepEqual(answers(text), ["200", "200", "204", "404"]);
    socket.destroy();
    await idle(front);
  });

  test("that closes leaves no request open, and begins none that waited in line", async () => {
    await using front = await open();
    const gate = Promise.withResolvers<void>();
    front.service.hold("headBucket", gate.promise);
    const socket = await front.connect();
    const head = { method: "HEAD", target: "/bucket" };
    const put = { ...PUT, headers: { "content-length": "1" }, payload: hash("sha256", "x") };
    socket.write(`${front.head(head)}\r\n${front.head(put)}\r\nx`);
    await until(() => front.open() === 1);
    socket.destroy();
    await idle(front);
    gate.resolve();
    await front.send(head);
    await idle(front);
    assert.deepEqual(
      front.finished.map(({ operation, status }) => [operation, status]),
      [
        ["HeadBucket", 499],
        ["HeadBucket", 200],
      ],
    );
  });

  test("is kept when a little of a body was not read, and closed when much was not", async () => {
    await using front = await open();
    for (const [length, kept] of [
      [DISCARD_BYTES_MAX, true],
      [DISCARD_BYTES_MAX + 1, false],
    ] as const) {
      const socket = await front.connect();
      const request = { ...UNSIGNED, target: "/nowhere/key", headers: { "content-length": String(length) } };
      socket.write(`${front.head(request)}\r\n`);
      socket.write(Buffer.alloc(length));
      socket.write(`${front.head({ target: "/bucket" })}\r\n`);
      const text = await readSocket(socket, (got) => answers(got).length === 2);
      assert.deepEqual(answers(text), kept ? ["404", "200"] : ["404"]);
      assert.match(text, kept ? /Connection: keep-alive/ : /Connection: close/);
      socket.destroy();
    }
  });

  test("is kept when a body was given up in the middle with a little to come", async () => {
    await using front = await open();
    const socket = await front.connect();
    const length = DISCARD_BYTES_MAX;
    const headers = { "content-length": String(length), "x-amz-decoded-content-length": "10" };
    const head = front.head({ ...PUT, payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers });
    socket.write(`${head}\r\nno chunk\r\n`);
    await readSocket(socket, (got) => got.includes("<Code>IncompleteBody</Code>"));
    socket.write(Buffer.alloc(length - "no chunk\r\n".length));
    socket.write(`${front.head({ target: "/bucket" })}\r\n`);
    assert.deepEqual(answers(await readSocket(socket, (got) => got.includes("</ListBucketResult>"))), ["200"]);
    socket.destroy();
  });

  test("gets its answer even while the client still sends what nobody reads", async () => {
    await using front = await open();
    const request = { ...UNSIGNED, target: "/nowhere/key", body: Buffer.alloc(8 * 2 ** 20) };
    const { status, headers } = await front.send(request);
    assert.deepEqual([status, headers.connection], [404, "close"]);
  });

  test("is closed after the answer when the server stops", async () => {
    await using front = await open();
    const gate = Promise.withResolvers<void>();
    front.service.hold("headBucket", gate.promise);
    const answer = front.send({ method: "HEAD", target: "/bucket", agent: new Agent({ keepAlive: true }) });
    await until(() => front.open() > 0);
    front.stopListening();
    gate.resolve();
    const { status, headers } = await answer;
    assert.deepEqual([status, headers.connection], [200, "close"]);
  });
});

describe("a client that goes away", () => {
  test("in the middle of its body leaves nothing behind", async () => {
    await using front = await open();
    const socket = await front.connect();
    socket.write(`${front.head({ ...UNSIGNED, headers: { "content-length": "10" } })}\r\nhalf`);
    await until(() => front.service.calls.at(-1)?.name === "putObject");
    socket.destroy();
    await idle(front);
    assert.equal(front.service.bytesOf("bucket", "key"), undefined);
    const { signal } = front.service.last("putObject");
    assert.equal(signal?.aborted, true);
    assert.deepEqual(
      front.finished.map(({ status, operation }) => [status, operation]),
      [[499, "PutObject"]],
    );
    assert.ok(front.lines.every(({ level }) => level === "info"));
  });

  test("before its answer begins lets go of what the answer holds", async () => {
    await using front = await open();
    await front.send({ ...PUT, body: "x" });
    const gate = Promise.withResolvers<void>();
    front.service.hold("getObject", gate.promise);
    const socket = await front.connect();
    socket.write(`${front.head({ target: "/bucket/key" })}\r\n`);
    await until(() => front.open() > 0);
    socket.destroy();
    await idle(front);
    gate.resolve();
    await until(() => front.service.bodies.over === 1);
  });

  test("in the middle of an answer ends the read", async () => {
    await using front = await open();
    front.service.place("bucket", "key", Buffer.alloc(32 * 2 ** 20));
    const socket = await front.connect();
    socket.write(`${front.head({ target: "/bucket/key" })}\r\n`);
    await once(socket, "data");
    socket.destroy();
    await idle(front);
    await until(() => front.service.bodies.over === 1);
    const facts = front.finished.at(-1);
    assert.equal(facts?.operation, "GetObject");
    assert.ok((facts?.sentBytes ?? 0) < 32 * 2 ** 20);
    assert.ok(front.lines.every(({ level }) => level === "info"));
  });
});

describe("a client that stalls", () => {
  const limits = { stallTimeoutMs: 100 };

  test("in the middle of its body is told so and cut", async () => {
    await using front = await open({ limits });
    const socket = await front.connect();
    socket.write(`${front.head({ ...UNSIGNED, headers: { "content-length": "1000000" } })}\r\nhalf`);
    const text = await readSocket(socket);
    assert.match(text, /^HTTP\/1\.1 400 [^]*Connection: close[^]*<Code>RequestTimeout</);
    await idle(front);
    assert.equal(front.service.bytesOf("bucket", "key"), undefined);
  });

  test("in taking its answer is cut", async () => {
    await using front = await open({ limits });
    front.service.place("bucket", "key", Buffer.alloc(32 * 2 ** 20));
    const socket = await front.connect();
    socket.pause();
    socket.write(`${front.head({ target: "/bucket/key" })}\r\n`);
    await until(() => front.open() > 0);
    await idle(front);
    const facts = front.finished.find(({ operation }) => operation === "GetObject");
    assert.deepEqual([facts?.status, facts?.errorCode], [200, undefined]);
    assert.ok((facts?.sentBytes ?? 0) < 32 * 2 ** 20);
    await closed(socket);
  });

  test("is not one while the server is what takes its time", async () => {
    await using front = await open({ limits });
    const gate = Promise.withResolvers<void>();
    front.service.hold("headBucket", gate.promise);
    const answer = front.send({ method: "HEAD", target: "/bucket" });
    const staller = await front.connect();
    staller.write(`${front.head({ ...UNSIGNED, headers: { "content-length": "10" } })}\r\nhalf`);
    await readSocket(staller);
    gate.resolve();
    assert.equal((await answer).status, 200);
  });
});

describe("an answer", () => {
  test("that breaks off in the middle is never taken for whole: the connection is cut", async () => {
    await using front = await open();
    front.service.place("bucket", "key", Buffer.alloc(1_000_000));
    const cause = new ObjectError("unavailable", "every copy is gone");
    front.service.breakBody(500_000, cause);
    await assert.rejects(front.send({ target: "/bucket/key" }));
    await idle(front);
    const lines = front.lines.filter(({ level }) => level === "error");
    assert.deepEqual(
      lines.map(({ fields }) => fields["err"]),
      [cause],
    );
    assert.equal((await front.send({ target: "/bucket/key" })).text.length, 1_000_000);
  });

  test("that fails before its first byte is an error like any other", async () => {
    await using front = await open();
    front.service.fail("getObject", new ObjectError("unavailable", "every copy is gone"));
    assert.equal((await front.send({ target: "/bucket/key" })).status, 503);
  });

  test("carries the server's name, a date and an id of its own", async () => {
    await using front = await open();
    const ids = new Set<unknown>();
    for (const target of ["/", "/bucket", "/bucket/none", "/bucket?acl", "/bucket/%zz"]) {
      const { headers } = await front.send({ target });
      assert.equal(headers.server, "Bulkhead");
      assert.match(String(headers.date), / GMT$/);
      assert.equal(headers["x-powered-by"], undefined);
      ids.add(headers["x-amz-request-id"]);
    }
    assert.equal(ids.size, 5);
  });

  test("to a failure names its id and what was asked for", async () => {
    await using front = await open();
    const { text, headers } = await front.send({ target: "/bucket/no%20ne" });
    assert.equal(
      text,
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>no ne</Key><Resource>/bucket/no%20ne</Resource><RequestId>${String(headers["x-amz-request-id"])}</RequestId></Error>`,
    );
  });
});

describe("more than the server takes", () => {
  test("of requests is answered SlowDown, and the next is served again", async () => {
    await using front = await open({ limits: { requestsMax: 2 } });
    const gate = Promise.withResolvers<void>();
    front.service.hold("headBucket", gate.promise);
    const held = [0, 1].map(() => front.send({ method: "HEAD", target: "/bucket" }));
    await until(() => front.open() === 2);
    const { status, headers, text } = await front.send({ target: "/bucket" });
    assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
    assert.match(text, /<Code>SlowDown</);
    gate.resolve();
    assert.deepEqual(
      (await Promise.all(held)).map((answer) => answer.status),
      [200, 200],
    );
    assert.equal((await front.send({ target: "/bucket" })).status, 200);
  });

  test("of headers is refused", async () => {
    await using front = await open({ limits: { headerBytesMax: 8 * 1024 } });
    const socket = await front.connect();
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nx-large: ${"x".repeat(9000)}\r\n\r\n`);
    assert.match(await readSocket(socket), /^HTTP\/1\.1 400 [^]*<Code>RequestHeaderSectionTooLarge</);
  });

  test("of connections is not let in", async () => {
    await using front = await open({ limits: { connectionsMax: 1 } });
    const first = await front.connect();
    first.write(`${front.head({ method: "HEAD", target: "/bucket" })}\r\n`);
    await readSocket(first, (text) => text.includes("\r\n\r\n"));
    const second = await front.connect();
    await closed(second);
    first.destroy();
  });

  test("what is no HTTP is refused", async () => {
    await using front = await open();
    for (const text of ["rubbish\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"]) {
      const socket = await front.connect();
      socket.write(text);
      assert.match(await readSocket(socket), /^HTTP\/1\.1 400 [^]*<Code>BadRequest</);
    }
  });
});
