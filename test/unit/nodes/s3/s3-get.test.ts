/** What the driver makes of answers to a read that a good engine never gives. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { patternBytes } from "../../../support/blobs.ts";
import { putCopy, readCopy, startFakeNode } from "../../../support/s3-nodes.ts";

const MIB = 1_048_576;

describe("reads of an S3 node", () => {
  test("fail where another range is answered than was asked for, or none", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 1000);
    const answers: [status: number, headers: Record<string, string>][] = [
      [206, { "content-range": "bytes 1-100/1000" }],
      [206, { "content-range": "bytes 0-100/1000" }],
      [206, { "content-range": "nonsense" }],
      [206, {}],
      [200, { "content-length": "1000" }],
      [204, {}],
    ];
    for (const [status, headers] of answers) {
      fake.intercept = (_call, response) => {
        response.writeHead(status, headers).end(status === 204 ? undefined : patternBytes(1000, 1));
        return true;
      };
      await assertFails(readCopy(node, key, 0, 100), "refused");
    }
  });

  test("take the whole object without a range for an answer where all of it was asked for", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key, bytes } = await putCopy(node, 1000);
    fake.intercept = (_call, response) => {
      response.writeHead(200, { "content-length": 1000 }).end(bytes);
      return true;
    };
    assert.ok((await readCopy(node, key, 0, 1000)).equals(bytes));
    await assertFails(readCopy(node, key, 0, 1001), "corrupt");
  });

  test("are not decompressed, whatever the answer says of its encoding", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key, bytes } = await putCopy(node, 1000);
    fake.intercept = (_call, response) => {
      response.writeHead(206, { "content-encoding": "gzip", "content-range": "bytes 0-999/1000" }).end(bytes);
      return true;
    };
    assert.ok((await readCopy(node, key, 0, 1000)).equals(bytes));
  });

  test("fail where more bytes come than were asked for", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 1000);
    fake.intercept = (_call, response) => {
      response.writeHead(206, { "content-range": "bytes 0-99/1000" }).end(patternBytes(101, 1));
      return true;
    };
    await assertFails(readCopy(node, key, 0, 100), "refused");
  });

  test("call a copy corrupt whose bytes a living node twice cuts off at the same place", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 1000);
    fake.intercept = (call, response) => {
      const from = Number(/=(\d+)-/.exec(call.headers.range ?? "")?.[1]);
      response.writeHead(206, { "content-range": `bytes ${from}-999/1000`, "content-length": 1000 - from });
      if (from === 0) response.write(patternBytes(400, 1), () => response.socket?.end());
      else response.flushHeaders();
      if (from !== 0) response.socket?.end();
      return true;
    };
    await assertFails(readCopy(node, key, 0, 1000), "corrupt");
  });

  test("call a node unreachable that cuts off an answer and can go on", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 1000);
    let cut = false;
    fake.intercept = (_call, response) => {
      if (cut) return false;
      cut = true;
      response.writeHead(206, { "content-range": "bytes 0-999/1000", "content-length": 1000 });
      response.write(patternBytes(400, 1), () => response.socket?.end());
      return true;
    };
    await assertFails(readCopy(node, key, 0, 1000), "unreachable");
  });

  test("call a node unreachable that resets the connection", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 1000);
    fake.intercept = (_call, response) => {
      response.writeHead(206, { "content-range": "bytes 0-999/1000", "content-length": 1000 });
      response.write(patternBytes(400, 1), () => response.socket?.resetAndDestroy());
      return true;
    };
    await assertFails(readCopy(node, key, 0, 1000), "unreachable");
  });

  test("time out where the answer or its next bytes do not come", { timeout: 30_000 }, async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { headersTimeoutMs: 50, bodyTimeoutMs: 50 } });
    const { key } = await putCopy(node, 1000);
    fake.intercept = () => true;
    await assertFails(readCopy(node, key, 0, 1000), "timeout");
    fake.intercept = (_call, response) => {
      response.writeHead(206, { "content-range": "bytes 0-999/1000", "content-length": 1000 }).write("x");
      return true;
    };
    await assertFails(readCopy(node, key, 0, 1000), "timeout");
  });

  test("release the connection where the reader leaves without having begun", async (t) => {
    const { node } = await startFakeNode(t, {}, { limits: { connectionsMax: 1, readBufferBytes: 65_536 } });
    const { key, bytes } = await putCopy(node, 8 * MIB);
    for (let round = 0; round < 3; round++) {
      const chunks = await node.get(key, { start: 0, end: bytes.length });
      await chunks[Symbol.asyncIterator]().return?.();
    }
    assert.ok((await readCopy(node, key, 0, bytes.length)).equals(bytes));
  });

  test("of a slow reader hold a bounded part of the answer", async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { readBufferBytes: 65_536 } });
    const { key } = await putCopy(node, 100);
    const length = 256 * MIB;
    const chunk = Buffer.alloc(65_536);
    let sent = 0;
    fake.intercept = (call, response) => {
      if (call.method !== "GET") return false;
      response.writeHead(206, { "content-range": `bytes 0-${length - 1}/${length}`, "content-length": length });
      const fill = (): void => {
        let room = true;
        while (room && sent < length) {
          sent += chunk.length;
          room = response.write(chunk);
        }
        response.once("drain", fill);
      };
      fill();
      return true;
    };
    const chunks = await node.get(key, { start: 0, end: length });
    // It has stopped when nothing more was sent over as many other exchanges as would carry megabytes.
    for (let quiet = 0, before = sent; quiet < 50; before = sent) {
      await node.head(key);
      quiet = sent === before ? quiet + 1 : 0;
    }
    assert.ok(sent < length / 4, `${sent} bytes were sent to a reader that read none`);
    await chunks[Symbol.asyncIterator]().return?.();
  });
});
