import assert from "node:assert/strict";
import { test } from "node:test";
import { patternBytes } from "../../support/blobs.ts";
import { type InMemoryGateway, openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { at, ObjectClient } from "../../support/object-client.ts";

/** A read that has begun, of an object that was deleted `laterMs` after. */
async function openRead(
  laterMs = 1,
  signal?: AbortSignal,
): Promise<{ gateway: InMemoryGateway; body: AsyncIterator<Uint8Array> }> {
  const gateway = await openInMemoryGateway();
  const client = new ObjectClient(() => gateway.service);
  await client.createBucket("box");
  await client.put("box/a", patternBytes(900_000, 1));
  const { body } = await gateway.service.getObject({ ...at("box/a"), conditions: {} }, signal);
  gateway.clock.advance(laterMs);
  await client.delete("box/a");
  return { gateway, body: body[Symbol.asyncIterator]() };
}

function copies(gateway: InMemoryGateway): number {
  return gateway.node("d0-0").store.blobs.size;
}

test("an object that died under a read goes from the nodes once the read has left its body", async () => {
  const { gateway, body } = await openRead();
  await body.next();
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 1, "taken away under a read");
  await body.return?.();
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 0);
});

test("a read whose body is let go before it was begun keeps nothing from being taken away", async () => {
  const { gateway, body } = await openRead();
  await body.return?.();
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 0);
});

test("a read whose caller is gone keeps nothing from being taken away, whether or not its body was let go", async () => {
  const caller = new AbortController();
  const { gateway } = await openRead(1, caller.signal);
  caller.abort();
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 0);
});

test("the read of an object without bytes keeps nothing from being taken away, as nobody may ask for its body", async () => {
  const gateway = await openInMemoryGateway();
  const client = new ObjectClient(() => gateway.service);
  await client.createBucket("box");
  await client.put("box/a", patternBytes(1_000, 1));
  await client.put("box/empty", new Uint8Array(0));
  await gateway.service.getObject({ ...at("box/empty"), conditions: {} });
  gateway.clock.advance(1);
  await client.delete("box/a");
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 0);
});

test("an object that died within the very tick in which a read of it began is kept for the read", async () => {
  const { gateway, body } = await openRead(0);
  await gateway.sweepPastGrace();
  assert.equal(copies(gateway), 1, "taken away under a read");
  await body.return?.();
});
