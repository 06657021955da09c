/** Writes that nodes or clients let down: nobody waits for ever, and nothing is left behind (I3). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeError, type PutRequest } from "../../../src/nodes/storage-node.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound, audit } from "../../support/catalog-audit.ts";
import {
  type GatewayOptions,
  type InMemoryGateway,
  openInMemoryGateway,
  turns,
} from "../../support/in-memory-gateway.ts";
import { assertCode, bodyOf, ObjectClient } from "../../support/object-client.ts";

const MIB = 2 ** 20;
/** Eight times what a target's buffer holds, in one segment: streamed. */
const STREAMED = patternBytes(4 * MIB, 1);
const HELD = patternBytes(1_000, 1);

async function open(options: GatewayOptions = {}): Promise<{ gateway: InMemoryGateway; client: ObjectClient }> {
  const gateway = await openInMemoryGateway({ segmentBytes: 64 * MIB, ...options });
  const client = new ObjectClient(() => gateway.service);
  await client.createBucket("box");
  return { gateway, client };
}

/** The request without its signal: the node goes on although the caller gave up. */
function heedless({ key, header, blocks }: PutRequest): PutRequest {
  return { key, header, blocks };
}

test("a streamed write ends with too few copies when all nodes refuse it before its first byte", async () => {
  const { gateway, client } = await open();
  gateway.nodeFails("d0-0");
  gateway.nodeFails("d1-0");
  await gateway.whileTimePasses(assertCode(client.put("box/a", STREAMED), "not-enough-copies"));
});

test("a streamed write goes to the stand-in of a node that refuses it before its first byte", async () => {
  const { gateway, client } = await open({ nodesPerDomain: 2 });
  for (const name of ["d1-0", "d1-1"]) {
    gateway.node(name).control.hooks.put = async () => {
      // Only whichever of the two is asked first refuses.
      for (const either of ["d1-0", "d1-1"]) gateway.node(either).control.hooks = {};
      throw new NodeError("unreachable", "the connection was refused");
    };
  }
  await gateway.whileTimePasses(client.put("box/a", STREAMED));
  assert.deepEqual(await client.get("box/a"), Buffer.from(STREAMED));
  for (const { content } of (await assertSound(gateway)).versions.values()) {
    assert.ok(content.kind === "inline");
    assert.deepEqual(
      content.blob.slots.map(({ state, domain }) => `${state} ${domain}`),
      ["ok d0", "ok d1"],
    );
  }
});

test("a streamed write does not wait for a node that refused it before its first byte", async () => {
  const { gateway, client } = await open({ domains: 3 });
  gateway.nodeFails("d1-0");
  const startedMs = gateway.clock.nowMs();
  await gateway.whileTimePasses(client.put("box/a", STREAMED));
  assert.ok(gateway.clock.nowMs() - startedMs < 1_000, "it waited for the lag timeout");
});

test("a client that gives up while a node keeps it waiting is let go", async () => {
  const { gateway, client } = await open();
  gateway.node("d1-0").control.hooks.put = (request) =>
    new Promise((_, reject) => {
      request.signal?.addEventListener("abort", () => reject(new NodeError("aborted", "the caller gave up")));
    });
  const caller = new AbortController();
  const put = assertCode(client.put("box/a", HELD, { signal: caller.signal }), "aborted");
  await turns();
  caller.abort();
  await gateway.whileTimePasses(put);
  await gateway.settle();
  assert.equal(gateway.node("d0-0").store.blobs.size, 0);
});

test("a copy that arrives after its write was given up is discarded", async () => {
  const { gateway, client } = await open({ domains: 3 });
  const late = Promise.withResolvers<void>();
  gateway.node("d2-0").control.hooks.put = async (request, pass) => {
    const receipt = await pass(heedless(request));
    await late.promise;
    return receipt;
  };
  // A quorum has every segment when the digest turns out to be wrong.
  const body = bodyOf(HELD, { md5: new Uint8Array(16) });
  await gateway.whileTimePasses(assertCode(client.put("box/a", body), "bad-digest"));
  late.resolve();
  await gateway.settle();
  assert.deepEqual((await audit(gateway)).orphans, []);
});
