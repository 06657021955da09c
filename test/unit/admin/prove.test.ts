import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../src/admin/problem.ts";
import { assessBlob, standardOf } from "../../../src/admin/prove/assess.ts";
import { provePage, readProveQuery } from "../../../src/admin/prove/prove-page.ts";
import { type ObjectProof, type ProvePage, provePageSchema } from "../../../src/admin/prove/prove-types.ts";
import { ProofJoiner } from "../../../src/cli/prove/join-proofs.ts";
import { MemoryStore, openMemoryNode } from "../../../src/nodes/memory/memory-node.ts";
import { createPlacement } from "../../../src/placement/placement.ts";
import { adminContext } from "../../support/admin-context.ts";
import { patternBytes } from "../../support/blobs.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { atEveryStep, interposeAt } from "../../support/interpose.ts";
import { MIB, once, openBox } from "../../support/open-box.ts";
import { changeSlot } from "../../support/slots.ts";
import { StaticMembers } from "../../support/static-members.ts";
import { domainOf, nodeOf, policyOf, quickHasher, standbyDomain, topologyOf } from "../placement/topologies.ts";

const BYTES = patternBytes(1_000, 1);

/** A page, provided that it is what the API describes. */
async function page(gateway: InMemoryGateway, query: Readonly<Record<string, string>> = {}): Promise<ProvePage> {
  const answer = await provePage(adminContext(gateway), readProveQuery(query));
  assert.deepEqual(provePageSchema.parse(answer), answer);
  return answer;
}

/** All pages; `between` runs before each but the first. */
async function walk(
  gateway: InMemoryGateway,
  query: Readonly<Record<string, string>> = {},
  between: () => Promise<void> = async () => {},
): Promise<ObjectProof[]> {
  const pieces: ObjectProof[] = [];
  for (let after: string | null = ""; after !== null; await between()) {
    const answer: ProvePage = await page(gateway, after === "" ? query : { ...query, after });
    pieces.push(...answer.objects);
    after = answer.next;
  }
  return pieces;
}

async function proofOf(gateway: InMemoryGateway, key: string): Promise<ObjectProof> {
  const found = (await walk(gateway)).find((proof) => proof.key === key);
  return found ?? assert.fail(`there is no proof of ${key}`);
}

test("an object with all its copies is proven by their number, domains and verification", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  assert.deepEqual(await page(gateway), {
    replication_factor: 2,
    objects: [
      {
        bucket: "box",
        key: "a",
        version_id: "null",
        size: 1_000,
        offset: 0,
        length: 1_000,
        blobs: 1,
        good_copies: 2,
        wanted_copies: 2,
        reachable_copies: 2,
        domain_count: 2,
        domains: ["d0", "d1"],
        verified_at: new Date(gateway.clock.nowMs()).toISOString(),
        states: { ok: 2, missing: 0, handoff: 0, unverified: 0, corrupt: 0, surplus: 0 },
        below_policy: false,
      },
    ],
    next: null,
  });
});

for (const state of ["missing", "corrupt", "unverified"] as const) {
  test(`a copy that is ${state} is no good one`, async () => {
    const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
    await client.put("box/a", BYTES);
    await changeSlot(gateway, "a", 1, ({ domain, location }) =>
      state === "missing" || location === undefined
        ? { state: "missing", domain }
        : { state, domain, location, verifiedAtMs: 0 },
    );
    const { good_copies, wanted_copies, domains, verified_at, states, below_policy } = await proofOf(gateway, "a");
    assert.deepEqual([good_copies, wanted_copies, domains, below_policy], [1, 2, ["d0"], true]);
    assert.equal(verified_at, new Date(gateway.clock.nowMs()).toISOString());
    assert.deepEqual([states.ok, states[state]], [1, 1]);
  });
}

test("a hand-off copy counts as one, but not as one in another domain where it lies in the same", async () => {
  const { gateway, client } = await openBox({
    nodesPerDomain: 2,
    standbyNodes: 1,
    policy: { domainChoice: "priority" },
  });
  for (const name of ["d1-0", "d1-1"]) gateway.nodeDown(name);
  await client.put("box/standby", BYTES);
  gateway.nodeDown("standby-0");
  await client.put("box/same", BYTES);
  const same = await proofOf(gateway, "same");
  assert.deepEqual([same.good_copies, same.domains, same.states.handoff, same.below_policy], [2, ["d0"], 1, true]);
  const standby = await proofOf(gateway, "standby");
  assert.deepEqual([standby.good_copies, standby.domains], [2, ["d0", "standby"]]);
  assert.deepEqual([standby.reachable_copies, standby.below_policy], [1, false]);
});

test("copies on a node that is away are on record as good, and not reachable", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.nodeDown("d1-0");
  const proof = await proofOf(gateway, "a");
  assert.deepEqual([proof.good_copies, proof.reachable_copies, proof.below_policy], [2, 1, false]);
});

test("copies on a node that was replaced are no good ones, whatever is on record", async () => {
  const { gateway, client } = await openBox();
  await client.put("box/a", BYTES);
  gateway.members.setState(gateway.node("d1-0").uuid, "replaced");
  const proof = await proofOf(gateway, "a");
  assert.deepEqual([proof.good_copies, proof.domains, proof.below_policy], [1, ["d0"], true]);
});

test("two copies on nodes that live in one domain are in one domain, whichever domains the nodes serve", () => {
  const promoted = { homeDomain: "standby" };
  const nodes = [nodeOf("00", "d0", promoted), nodeOf("01", "d1", promoted)];
  const topology = topologyOf([domainOf("d0"), domainOf("d1"), standbyDomain], nodes, policyOf(2));
  const node = openMemoryNode({ name: "any", clusterId: "00", store: new MemoryStore() });
  const members = new StaticMembers({
    topology,
    placement: createPlacement(topology, quickHasher),
    nodes: new Map(nodes.map(({ uuid }) => [uuid, node])),
  });
  const slots = nodes.map(({ uuid, domain }) => ({
    state: "ok" as const,
    domain,
    location: { nodeUuid: uuid, key: "k" },
    verifiedAtMs: 1,
  }));
  const assessed = assessBlob(standardOf(members), { blobId: "00", length: 1, blockCrcs: new Uint8Array(4), slots });
  assert.deepEqual([assessed.good, assessed.domains, assessed.belowPolicy], [2, ["standby"], true]);
});

test("an object of many blobs is as good as the worst of them, and an empty one has none", async () => {
  const { gateway, client } = await openBox({ policy: { domainChoice: "priority" } });
  await client.put("box/whole", BYTES);
  await client.copy("box/whole", "box/shared");
  const writtenAt = new Date(gateway.clock.nowMs()).toISOString();
  gateway.clock.advance(60_000);
  await client.put("box/other", patternBytes(5 * MIB, 2));
  const upload = await client.createUpload("box/parts");
  await client.complete(upload, [
    await client.partCopy(upload, 1, "box/other"),
    await client.partCopy(upload, 2, "box/shared"),
  ]);
  await client.put("box/empty", new Uint8Array(0));
  await changeSlot(gateway, "shared", 0, ({ domain }) => ({ state: "missing", domain }));
  const parts = await proofOf(gateway, "parts");
  assert.deepEqual([parts.blobs, parts.length, parts.size], [6, 5 * MIB + 1_000, 5 * MIB + 1_000]);
  assert.deepEqual([parts.good_copies, parts.wanted_copies, parts.domain_count, parts.domains], [1, 2, 1, ["d1"]]);
  assert.deepEqual([parts.verified_at, parts.below_policy], [writtenAt, true]);
  assert.deepEqual([parts.states.ok, parts.states.missing], [11, 1]);
  assert.equal((await proofOf(gateway, "other")).below_policy, false);
  const empty = await proofOf(gateway, "empty");
  assert.deepEqual([empty.blobs, empty.good_copies, empty.domain_count, empty.below_policy], [0, null, null, false]);
});

test("pages of any size tell of every object once, in order, over all buckets or one, by prefix", async () => {
  const { gateway, client } = await openBox();
  const all: string[] = [];
  for (const bucket of ["aaa", "box", "bub", "zzz"]) {
    if (bucket !== "box") await client.createBucket(bucket);
    for (const key of bucket === "bub" ? [] : ["a", "b/1", "b/2", "b\u0000", "c"]) {
      await client.put(`${bucket}/${key}`, BYTES);
      all.push(`${bucket}/${key}`);
    }
  }
  const inOrder = all.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const names = async (query: Readonly<Record<string, string>>): Promise<string[]> =>
    (await walk(gateway, query)).map(({ bucket, key }) => `${bucket}/${key}`);
  for (const limit of ["1", "2", "3", "7", "1000"]) {
    assert.deepEqual(await names({ limit }), inOrder, `limit ${limit}`);
    assert.deepEqual(await names({ limit, bucket: "box", prefix: "b/" }), ["box/b/1", "box/b/2"]);
  }
  assert.deepEqual(await names({ bucket: "bub" }), []);
  assert.deepEqual(await names({ bucket: "box", prefix: "x".repeat(2_000) }), []);
});

test("a page looks at as many objects as it is asked for, empty buckets among them", async () => {
  const { gateway, client } = await openBox();
  for (const bucket of ["bux", "bvx", "bwx"]) await client.createBucket(bucket);
  await client.put("bwx/a", BYTES);
  const { objects, next } = await page(gateway, { limit: "2" });
  assert.deepEqual(objects, []);
  assert.ok(next !== null);
});

test("an object of more blobs than a page looks at comes in pieces, which make it whole", async () => {
  const { gateway, client } = await openBox({ segmentBytes: 1_000 });
  await client.put("box/a", patternBytes(2_500_500, 1));
  await client.put("box/b", BYTES);
  const pieces = await walk(gateway);
  assert.deepEqual(
    pieces.map(({ key, offset, length, blobs }) => [key, offset, length, blobs]),
    [
      ["a", 0, 2_000_000, 2_000],
      ["a", 2_000_000, 500_500, 501],
      ["b", 0, 1_000, 1],
    ],
  );
  const joiner = new ProofJoiner();
  const whole = pieces.flatMap((piece) => joiner.add(piece) ?? []);
  assert.deepEqual(
    whole.map(({ key, blobs, states, good_copies }) => [key, blobs, states.ok, good_copies]),
    [
      ["a", 2_501, 5_002, 2],
      ["b", 1, 2, 2],
    ],
  );
});

test("an object that is replaced between two of its pieces is told of from its beginning", async () => {
  const { gateway, client } = await openBox({ segmentBytes: 1_000 });
  await client.put("box/a", patternBytes(2_500_500, 1));
  const replace = once(async () => void (await client.put("box/a", BYTES)));
  const joiner = new ProofJoiner();
  const whole = (await walk(gateway, {}, replace)).flatMap((piece) => joiner.add(piece) ?? []);
  assert.deepEqual(
    whole.map(({ key, blobs, size }) => [key, blobs, size]),
    [["a", 1, 1_000]],
  );
  await client.put("box/a", patternBytes(2_500_500, 1));
  await client.put("box/b", BYTES);
  const remove = once(async () => client.delete("box/a"));
  const left = (await walk(gateway, {}, remove)).flatMap((piece) => joiner.add(piece) ?? []);
  assert.deepEqual(
    left.map(({ key }) => key),
    ["b"],
  );
});

test("an object that is replaced while it is looked at is told of as one or the other", async () => {
  await atEveryStep(async (at) => {
    const { gateway, client } = await openBox();
    await client.put("box/a", patternBytes(2 * MIB, 1));
    const { reached } = interposeAt(gateway.kv, at, async () => {
      await client.put("box/a", patternBytes(3 * MIB, 2));
      await gateway.sweepPastGrace();
      await gateway.sweepPastGrace();
    });
    const [proof, ...others] = await walk(gateway);
    assert.deepEqual([proof?.blobs, others.length], [(proof?.size ?? 0) / MIB, 0]);
    return reached();
  });
});

test("what cannot be asked for is refused", async () => {
  const { gateway } = await openBox();
  for (const [query, status] of [
    [{ bucket: "none" }, 404],
    [{ bucket: "n".repeat(3_000) }, 404],
    [{ limit: "0" }, 400],
    [{ limit: "1001" }, 400],
    [{ limit: "x" }, 400],
    [{ limit: "" }, 400],
    [{ prefix: "a" }, 400],
    [{ after: "!" }, 400],
    [{ after: Buffer.from("[1,2,3]").toString("base64url") }, 400],
    [{ after: Buffer.from(JSON.stringify(["box", "k".repeat(2_000), null])).toString("base64url") }, 400],
  ] as const) {
    const asked = (async () => page(gateway, query))();
    await assert.rejects(asked, (error) => error instanceof ApiError && error.status === status, JSON.stringify(query));
  }
});
