import assert from "node:assert/strict";
import { test } from "node:test";
import { type ObjectLocation, objectLocationSchema } from "../../../src/admin/api-types.ts";
import { locateObject } from "../../../src/admin/locate-object.ts";
import { ApiError } from "../../../src/admin/problem.ts";
import { adminContext } from "../../support/admin-context.ts";
import { patternBytes } from "../../support/blobs.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { atEveryStep, interposeAt } from "../../support/interpose.ts";
import { MIB, openBox } from "../../support/open-box.ts";
import { blobOf, changeSlot, copyIn } from "../../support/slots.ts";

const BYTES = patternBytes(1_000, 1);

/** The answer, provided that it is what the API describes. */
async function locate(gateway: InMemoryGateway, url: string): Promise<ObjectLocation> {
  const answer = await locateObject(adminContext(gateway), url);
  assert.deepEqual(objectLocationSchema.parse(answer), answer);
  return answer;
}

async function assertStatus(promise: Promise<unknown>, status: number): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof ApiError && error.status === status);
}

test("an object is located with each of its copies, on its node as an operator finds it there", async () => {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  const { etag } = await client.put("box/a", BYTES);
  const { blob } = await blobOf(gateway, "a");
  const [volume, endpoint] = [await copyIn(gateway, "a", 0), await copyIn(gateway, "a", 1)];
  const now = new Date(gateway.clock.nowMs()).toISOString();
  const copy = { state: "ok", verified_at: now } as const;
  assert.deepEqual(await locate(gateway, "/box/a"), {
    bucket: "box",
    key: "a",
    versions: [
      {
        version_id: "null",
        is_latest: true,
        delete_marker: false,
        size: 1_000,
        etag,
        last_modified: now,
        storage_class: "STANDARD",
        layout: "replicas",
        next_offset: null,
        extents: [
          {
            blob_id: blob.blobId,
            offset: 0,
            length: 1_000,
            copies: [
              {
                ...copy,
                slot: 0,
                domain: "d0",
                node: "d0-0",
                node_id: volume.node.uuid,
                node_domain: "d0",
                location: { container: "/disks/d0-0", key: volume.location.key },
              },
              {
                ...copy,
                slot: 1,
                domain: "d1",
                node: "d1-0",
                node_id: endpoint.node.uuid,
                node_domain: "d1",
                location: { container: "bucket", key: `blobs/${endpoint.location.key}` },
              },
            ],
          },
        ],
      },
    ],
  });
});

test("a missing copy has no node, a hand-off copy one of another domain", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  for (const name of ["d1-0", "d1-1"]) gateway.nodeDown(name);
  await client.put("box/a", BYTES);
  const handedOff = (await locate(gateway, "/box/a")).versions[0]?.extents[0]?.copies[1];
  assert.deepEqual([handedOff?.state, handedOff?.domain, handedOff?.node_domain], ["handoff", "d1", "d0"]);
  await changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain }));
  const missing = (await locate(gateway, "/box/a")).versions[0]?.extents[0]?.copies[1];
  assert.deepEqual(missing, {
    slot: 1,
    state: "missing",
    domain: "d1",
    node: null,
    node_id: null,
    node_domain: null,
    location: null,
    verified_at: null,
  });
});

test("every kind of object is located whole, and from an offset on", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/empty", new Uint8Array(0));
  await client.put("box/inline", BYTES);
  await client.put("box/segmented", patternBytes(2 * MIB + 5, 2));
  await client.put("box/blob", BYTES);
  await client.copy("box/blob", "box/blob too");
  const upload = await client.createUpload("box/parts");
  await client.complete(upload, [await client.partCopy(upload, 1, "box/segmented", { start: 7, end: MIB + 7 })]);
  const extents = async (path: string): Promise<[number, number][]> => {
    const [version] = (await locate(gateway, path)).versions;
    return version?.extents.map(({ offset, length }) => [offset, length]) ?? [];
  };
  assert.deepEqual(await extents("/box/empty"), []);
  assert.equal((await locate(gateway, "/box/empty")).versions[0]?.layout, "empty");
  assert.deepEqual(await extents("/box/inline"), [[0, 1_000]]);
  assert.deepEqual(await extents("/box/blob"), [[0, 1_000]]);
  assert.deepEqual(await extents("/box/segmented"), [
    [0, MIB],
    [MIB, MIB],
    [2 * MIB, 5],
  ]);
  assert.deepEqual(await extents("/box/parts"), [
    [0, MIB - 7],
    [MIB - 7, 7],
  ]);
  assert.deepEqual(await extents("/box/inline?offset=10"), [[10, 990]]);
  assert.deepEqual(await extents("/box/blob?offset=10"), [[10, 990]]);
  assert.deepEqual(await extents(`/box/segmented?offset=${MIB + 1}`), [
    [MIB + 1, MIB - 1],
    [2 * MIB, 5],
  ]);
  assert.deepEqual(await extents("/box/inline?offset=1000"), []);
});

test("an object of more extents than an answer holds is located in several", async () => {
  const { gateway, client } = await openBox({ segmentBytes: 1_000 });
  await client.put("box/a", patternBytes(1_050_000, 1));
  const first = (await locate(gateway, "/box/a")).versions[0];
  assert.deepEqual([first?.extents.length, first?.next_offset], [1_000, 1_000_000]);
  const rest = (await locate(gateway, `/box/a?offset=${first?.next_offset}`)).versions[0];
  assert.deepEqual([rest?.extents.length, rest?.extents[0]?.offset, rest?.next_offset], [50, 1_000_000, null]);
});

test("keys are found as they are, whatever they are made of", async () => {
  const { gateway, client } = await openBox();
  for (const key of ["a/b//c", "über 100%", "?#&=", "a+b", "/", "%2F"]) {
    await client.put(`box/${key}`, BYTES);
    assert.equal((await locate(gateway, `/box/${encodeURIComponent(key)}`)).key, key);
  }
  assert.equal((await locate(gateway, "/box/a/b//c")).key, "a/b//c");
});

test("what is not there is not found, and what is no address is refused", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  const context = adminContext(gateway);
  for (const url of ["/no-box/a", "/box/b", `/${"n".repeat(3_000)}/a`, `/box/${"k".repeat(3_000)}`]) {
    await assertStatus(locateObject(context, url), 404);
  }
  for (const url of [
    "/",
    "",
    "/box",
    "/box/",
    "/box/%ff",
    "/box/a?offset=-1",
    "/box/a?offset=x",
    "/box/a?offset=1.5",
  ]) {
    await assertStatus(locateObject(context, url), 400);
  }
});

test("an object that is replaced while it is located is located as one or the other", async () => {
  await atEveryStep(async (at) => {
    const { gateway, client } = await openBox();
    await client.put("box/a", patternBytes(2 * MIB, 1));
    const { reached } = interposeAt(gateway.kv, at, async () => {
      await client.put("box/a", patternBytes(3 * MIB, 2));
      await gateway.sweepPastGrace();
      await gateway.sweepPastGrace();
    });
    const [version] = (await locate(gateway, "/box/a")).versions;
    assert.equal(version?.extents.length, (version?.size ?? 0) / MIB);
    return reached();
  });
});
