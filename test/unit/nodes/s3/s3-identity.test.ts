/** The identity that is left in a bucket: nothing that comes late may take the place of what was written since. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertFails } from "../../../contract/storage-node-contract.ts";
import { startFakeNode } from "../../../support/s3-nodes.ts";

const [OLD, NEW] = [Buffer.from("the old identity"), Buffer.from("the new identity")];

test("an identity whose request was held up does not take the place of one that was written meanwhile", async (t) => {
  const { fake, node } = await startFakeNode(t);
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  fake.intercept = async ({ method }) => {
    if (method !== "PUT") return false;
    fake.intercept = undefined;
    arrived.resolve();
    await held.promise;
    return false;
  };
  const late = node.writeIdentity(OLD);
  await arrived.promise;
  await node.writeIdentity(NEW);
  held.resolve();
  await assertFails(late, "refused");
  assert.deepEqual(Buffer.from((await node.readIdentity()) ?? []), NEW);
});

test("one that is to take the place of another does so only while that one is there", async (t) => {
  const { fake, node } = await startFakeNode(t);
  await node.writeIdentity(OLD);
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  fake.intercept = async ({ method }) => {
    if (method !== "PUT") return false;
    fake.intercept = undefined;
    arrived.resolve();
    await held.promise;
    return false;
  };
  const late = node.writeIdentity(Buffer.from("the late identity"), undefined, OLD);
  await arrived.promise;
  await node.writeIdentity(NEW, undefined, OLD);
  held.resolve();
  await assertFails(late, "refused");
  assert.deepEqual(Buffer.from((await node.readIdentity()) ?? []), NEW);
});

test("a service that knows no conditional writes gets its identity without", async (t) => {
  const { node } = await startFakeNode(t, { conditionalWrites: false });
  await node.writeIdentity(OLD);
  await node.writeIdentity(NEW, undefined, OLD);
  assert.deepEqual(Buffer.from((await node.readIdentity()) ?? []), NEW);
  await assertFails(node.writeIdentity(OLD), "refused");
});
