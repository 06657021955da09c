/** What the driver makes of absence, errors and connections that a good engine never shows. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { openS3Node } from "../../../../src/nodes/s3/s3-node.ts";
import { systemRandom } from "../../../../src/shared/random.ts";
import { assertFails, CONTRACT_CLUSTER_ID } from "../../../contract/storage-node-contract.ts";
import { copyKey } from "../../../support/blobs.ts";
import { fakeOptions, putCopy, readCopy, startFakeNode } from "../../../support/s3-nodes.ts";

const random = systemRandom();

describe("absence on an S3 node", () => {
  for (const headErrorCode of [true, false]) {
    test(`is certain only where the node says which is missing, ${headErrorCode ? "in a header" : "asked again"}`, async (t) => {
      const { fake, node } = await startFakeNode(t, { headErrorCode });
      const key = copyKey(1, random);
      assert.equal(await node.head(key), undefined);
      fake.buckets.delete("bucket");
      await assertFails(node.head(key), "refused");
      await assertFails(readCopy(node, key, 0, 1), "refused");
      await assertFails(node.delete(key), "refused");
      await assertFails(node.list({ limit: 1 }), "refused");
      assert.equal(await node.readIdentity(), undefined);
    });
  }

  test("is not believed of a proxy's 404", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 10);
    fake.intercept = (_call, response) => {
      response.writeHead(404).end("<html>404 not found</html>");
      return true;
    };
    await assertFails(node.head(key), "unreachable");
    await assertFails(readCopy(node, key, 0, 1), "unreachable");
    await assertFails(node.delete(key), "unreachable");
    await assertFails(node.readIdentity(), "unreachable");
  });
});

describe("answers of an S3 node", () => {
  const answers: readonly [status: number, body: string, kind: Parameters<typeof assertFails>[1]][] = [
    [503, "<Error><Code>SlowDown</Code></Error>", "busy"],
    [403, "<Error><Code>AccessDenied</Code></Error>", "access-denied"],
    [301, "<Error><Code>PermanentRedirect</Code></Error>", "refused"],
    [302, "", "refused"],
    [500, "not XML at all", "io"],
    [500, "<Error><Code>InternalError</Code><Message>try again</Message></Error>", "io"],
    [500, "<Error><Code>InternalError</Code><Message>cause(no space left on device)</Message></Error>", "full"],
    [400, "Client sent an HTTP request to an HTTPS server.\n", "unreachable"],
    [200, "<html><body>welcome</body></html>", "unreachable"],
    [200, "<ListBucketResult><Contents>", "unreachable"],
    [200, "", "unreachable"],
    [200, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "unreachable"],
    [200, "<Error><Code>SlowDown</Code></Error>", "busy"],
  ];
  for (const [status, body, kind] of answers) {
    test(`${status} '${body.trim()}' to a listing is ${kind}`, async (t) => {
      const { fake, node } = await startFakeNode(t);
      fake.intercept = (_call, response) => {
        response.writeHead(status, { location: "http://elsewhere/" }).end(body);
        return true;
      };
      await assertFails(node.list({ limit: 10 }), kind);
    });
  }

  test("of boundless length are cut off", async (t) => {
    const { fake, node } = await startFakeNode(t, {}, { limits: { documentBytesMax: 100_000 } });
    fake.intercept = (_call, response) => {
      const more = (): void => {
        if (response.destroyed) return;
        response.write("x".repeat(10_000));
        setImmediate(more);
      };
      more();
      return true;
    };
    await assertFails(node.list({ limit: 10 }), "unreachable");
  });

  const connections: readonly [name: string, answer: (socket: Socket) => void][] = [
    ["a reset", (socket) => socket.resetAndDestroy()],
    ["an end without an answer", (socket) => socket.end()],
    ["garbage", (socket) => socket.end("\u0000\u0001\u0002 no HTTP\r\n\r\n")],
    ["half a head", (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le")],
    ["endless headers", (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`)],
  ];
  for (const [name, answer] of connections) {
    test(`that are ${name} are unreachable`, async (t) => {
      const server = createServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", () => answer(socket));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      t.after(() => server.close());
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const node = openS3Node(fakeOptions(`http://127.0.0.1:${address.port}`));
      t.after(() => node.close());
      await assertFails(node.head(copyKey(1, random)), "unreachable");
      const [finding] = await node.probe("reach");
      assert.equal(finding?.check, "reach");
      assert.equal(finding?.passed, false);
    });
  }

  test("come over another connection where the node closed the last one while it was idle", async (t) => {
    const closed: Promise<unknown>[] = [];
    const server = createServer((socket) => {
      closed.push(once(socket, "close"));
      socket.once("data", () => socket.end("HTTP/1.1 204 No Content\r\n\r\n"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const node = openS3Node(fakeOptions(`http://127.0.0.1:${address.port}`));
    t.after(() => node.close());
    for (let call = 1; call <= 20; call++) {
      await node.delete(copyKey(1, random));
      await closed.at(-1);
      assert.equal(closed.length, call);
    }
  });

  test("tell by the name of the check what is wrong with a node that cannot be used", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const answers: [status: number, code: string, check: string][] = [
      [503, "SlowDown", "reach"],
      [500, "InternalError", "reach"],
      [301, "PermanentRedirect", "reach"],
      [403, "AccessDenied", "access"],
      [403, "RequestTimeTooSkewed", "clock-skew"],
      [404, "NoSuchBucket", "bucket-exists"],
    ];
    for (const [status, code, check] of answers) {
      fake.intercept = (_call, response) => {
        response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
        return true;
      };
      const failed = (await node.probe("reach")).filter(({ passed }) => !passed);
      assert.deepEqual(
        failed.map((finding) => finding.check),
        [check],
      );
    }
  });

  test("never come from a port where nobody listens", async () => {
    const node = openS3Node(fakeOptions("http://127.0.0.1:1"));
    await assertFails(node.head(copyKey(1, random)), "unreachable");
    await node.close();
  });

  test("hold no secret in what an operator is told", async (t) => {
    const { fake, node } = await startFakeNode(t);
    fake.intercept = (_call, response) => {
      response.writeHead(403).end("<Error><Code>SignatureDoesNotMatch</Code><Message>the-secret</Message></Error>");
      return true;
    };
    assert.doesNotMatch(JSON.stringify(await node.probe("admission")), /the-secret/);
    assert.doesNotMatch(String((await assertFails(node.list({ limit: 1 }), "access-denied")).stack), /the-secret/);
  });
});

describe("listings of an S3 node", () => {
  test("pass over foreign objects under our prefix, however many", async (t) => {
    const { fake, node } = await startFakeNode(t);
    const { key } = await putCopy(node, 10);
    const objects = fake.buckets.get("bucket");
    const object = [...(objects?.values() ?? [])][0];
    assert.ok(object);
    for (const name of ["!", "%", "&lt;", "a/\u0001/\ud83d\ude00", "zz"]) {
      objects?.set(`.bulkhead/${CONTRACT_CLUSTER_ID}/blobs/${name}`, object);
    }
    for (const limit of [1, 2, 1000]) {
      const found: string[] = [];
      for (let after: string | undefined, more = true; more; ) {
        const page = await node.list({ limit, ...(after === undefined ? {} : { after }) });
        found.push(...page.blobs.map((blob) => blob.key));
        after = page.next;
        more = after !== undefined;
      }
      assert.deepEqual(found, [key]);
    }
  });
});
