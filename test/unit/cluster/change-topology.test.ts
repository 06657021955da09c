/** Nodes, domains and policy as an operator changes them: what each commit makes of the topology, and what is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { enterCopies } from "../../../src/catalog/blobs.ts";
import { type Catalog, openCatalog } from "../../../src/catalog/catalog.ts";
import {
  copiesRange,
  nodeConnectionKey,
  nodeKey,
  pendingDeleteKey,
  policyHistoryKey,
} from "../../../src/catalog/keys.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { addDomain, removeDomain, setDomain } from "../../../src/cluster/change-domains.ts";
import { addNode, forgetLeftNodes, removeNode, setConnection, setNode } from "../../../src/cluster/change-nodes.ts";
import { setPolicy } from "../../../src/cluster/change-policy.ts";
import { ruled } from "../../../src/cluster/change-topology.ts";
import type { ConfiguredNode } from "../../../src/cluster/configured-topology.ts";
import { decodePolicyHistory } from "../../../src/cluster/policy-history.ts";
import { TopologyChangeError } from "../../../src/cluster/topology-change-error.ts";
import type { NodeRecord } from "../../../src/cluster/topology-records.ts";
import { applyConfiguration, loadTopology, type StoredTopology } from "../../../src/cluster/topology-store.ts";
import { newCopyKey } from "../../../src/nodes/copy-key.ts";
import { createRing } from "../../../src/placement/ring.ts";
import { topologyProblems } from "../../../src/placement/topology-rules.ts";
import { type Id, type IdSource, idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { HookedKv } from "../../support/hooked-kv.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { domainOf, policyOf, quickHasher } from "../placement/topologies.ts";

const CONNECTION = Buffer.from("connection");

interface Subject {
  readonly catalog: Catalog;
  readonly kv: HookedKv;
  readonly clock: ManualClock;
  readonly ids: IdSource;
  readonly stored: () => Promise<StoredTopology>;
  readonly record: (name: string) => Promise<NodeRecord | undefined>;
  readonly uuid: (name: string) => Promise<Id>;
  /** Puts a copy on record on the node. */
  readonly putCopy: (name: string) => Promise<void>;
}

function configured(name: string, domain: string, change: Partial<ConfiguredNode> = {}): ConfiguredNode {
  const rest = { weight: 100, acceptsWrites: true, host: name, diskType: "ssd" } as const;
  return { name, domain, physicalStorageId: name, ...rest, ...change };
}

/** Two domains of two nodes each: a1, a2, b1, b2. */
async function open(): Promise<Subject> {
  const clock = new ManualClock();
  const kv = new HookedKv(memoryKv());
  const random = seededRandom(1);
  const ids = idSource(clock, random);
  const catalog = await openCatalog(kv, { clock, ids, host: "test", pid: 1 });
  const nodes = ["a1", "a2", "b1", "b2"].map((name) => configured(name, name.slice(0, 1)));
  const domains = [domainOf("a"), domainOf("b")];
  await applyConfiguration(catalog, { domains, nodes, virtualNodesPerNode: 150, replication: policyOf(2) }, ids);
  const stored = async (): Promise<StoredTopology> => (await loadTopology(kv)) ?? assert.fail("there is no topology");
  const record = async (name: string): Promise<NodeRecord | undefined> =>
    [...(await stored()).records.values()].find((each) => each.name === name);
  const uuid = async (name: string): Promise<Id> => (await record(name))?.uuid ?? assert.fail(`no node ${name}`);
  return {
    catalog,
    kv,
    clock,
    ids,
    stored,
    record,
    uuid,
    async putCopy(name) {
      const location = { nodeUuid: await uuid(name), key: newCopyKey(catalog.session, random) };
      const slots = [{ state: "ok", domain: name.slice(0, 1), location, verifiedAtMs: 0 }] as const;
      const blob = { blobId: ids.next(), length: 1, blockCrcs: Buffer.alloc(4), slots };
      const atomic = catalog.begin();
      enterCopies(atomic, blob, { kind: "own" }, { nowMs: 0, notBeforeMs: 0 });
      await catalog.commit(atomic);
    },
  };
}

/** Fails unless the change is refused with these words and leaves the store as it is. */
async function assertRefused({ kv }: Subject, change: Promise<unknown>, words: RegExp): Promise<void> {
  const version = await kv.version();
  await assert.rejects(change, (error: unknown) => {
    assert.ok(error instanceof TopologyChangeError, String(error));
    assert.match(error.message, words);
    return true;
  });
  assert.equal(await kv.version(), version);
}

const withConnection = (node: ConfiguredNode) => ({ node, connection: () => CONNECTION });

test("a node is added with its connection in one commit, in a new epoch, and is not admitted yet", async () => {
  const subject = await open();
  const { catalog, ids, kv, stored } = subject;
  const before = (await stored()).topology.epoch;
  const uuid = await addNode(catalog, withConnection(configured("a3", "a", { weight: 7 })), ids);
  const { topology, records } = await stored();
  assert.equal(topology.epoch, before + 1);
  assert.deepEqual(
    [
      records.get(uuid)?.weight,
      records.get(uuid)?.configured,
      records.get(uuid)?.admitted,
      records.get(uuid)?.homeDomain,
    ],
    [7, true, false, "a"],
  );
  assert.deepEqual((await kv.get(nodeConnectionKey(uuid)))?.value, CONNECTION);
  await setConnection(catalog, uuid, Buffer.from("another"));
  assert.deepEqual((await kv.get(nodeConnectionKey(uuid)))?.value, Buffer.from("another"));
  assert.equal((await stored()).topology.epoch, before + 1);
});

test("a name that is taken, and a domain that nobody knows, are refused", async () => {
  const subject = await open();
  const { catalog, ids } = subject;
  await assertRefused(subject, addNode(catalog, withConnection(configured("a1", "b")), ids), /a node a1 already/);
  await assertRefused(subject, addNode(catalog, withConnection(configured("x", "z")), ids), /nodes\.x\.domain must be/);
});

test("a node without copies is removed with its record and connection", async () => {
  const { catalog, ids, kv, record, uuid } = await open();
  await addNode(catalog, withConnection(configured("a3", "a")), ids);
  const removed = await uuid("a3");
  await removeNode(catalog, "a3", { lost: false });
  assert.equal(await record("a3"), undefined);
  assert.equal(await kv.get(nodeConnectionKey(removed)), undefined);
});

test("a node with a copy on record, or a deletion that is owed to it, is not removed; nor is the last of a domain", async () => {
  const subject = await open();
  const { catalog, kv, uuid, putCopy } = subject;
  await putCopy("a1");
  await assertRefused(subject, removeNode(catalog, "a1", { lost: false }), /copies are on record on node a1.*drain/);
  const key = pendingDeleteKey(await uuid("b1"), newCopyKey(1, seededRandom(2)));
  await kv.atomic().set(key, Buffer.alloc(0)).commit();
  await assertRefused(subject, removeNode(catalog, "b1", { lost: false }), /still to be deleted there/);
  await removeNode(catalog, "a2", { lost: false });
  await assertRefused(subject, removeNode(catalog, "a1", { lost: true }), /domains\.a is an active domain without any/);
  await assertRefused(subject, removeNode(catalog, "z", { lost: false }), /there is no node z/);
});

test("a copy that comes on record while a node is removed keeps it: the commit finds it empty or does not happen", async () => {
  const subject = await open();
  const { catalog, kv, putCopy, record } = subject;
  kv.hooks.commit = async (_request, pass) => {
    kv.hooks = {};
    await putCopy("a1");
    return pass();
  };
  await assert.rejects(removeNode(catalog, "a1", { lost: false }), TopologyChangeError);
  assert.equal((await record("a1"))?.configured, true);
});

test("a node that is lost leaves at once, and its record when its last copy is off the record", async () => {
  const subject = await open();
  const { catalog, ids, kv, stored, record, uuid, putCopy } = subject;
  await putCopy("a1");
  const lost = await uuid("a1");
  await removeNode(catalog, "a1", { lost: true });
  assert.deepEqual([(await record("a1"))?.configured, (await record("a1"))?.leaving], [false, true]);
  assert.ok((await stored()).topology.nodes.some((node) => node.uuid === lost && !node.acceptsWrites));
  await assertRefused(
    subject,
    addNode(catalog, withConnection(configured("a1", "a")), ids),
    /a1 was removed and is not gone/,
  );
  await forgetLeftNodes(catalog);
  assert.notEqual(await record("a1"), undefined);
  const [copy] = await kv.list(copiesRange(lost), { limit: 1 });
  await kv
    .atomic()
    .delete(copy?.key ?? assert.fail())
    .set(pendingDeleteKey(lost, newCopyKey(1, seededRandom(2))), Buffer.alloc(0))
    .commit();
  await forgetLeftNodes(catalog);
  assert.equal(await record("a1"), undefined);
  assert.equal(
    (await kv.list({ start: Buffer.of(0), end: Buffer.of(0xfe) }, { limit: 100 })).filter(({ key }) =>
      key.includes(Buffer.from(lost, "hex")),
    ).length,
    0,
  );
  await addNode(catalog, withConnection(configured("a1", "a")), ids);
  assert.notEqual(await uuid("a1"), lost);
});

test("a node without copies moves to another domain, one with copies does not; rack and disk type change always", async () => {
  const subject = await open();
  const { catalog, record, putCopy } = subject;
  await setNode(catalog, "a1", { domain: "b", rack: "r1", diskType: "hdd" });
  const moved = await record("a1");
  assert.deepEqual([moved?.domain, moved?.homeDomain, moved?.rack, moved?.diskType], ["b", "b", "r1", "hdd"]);
  await setNode(catalog, "a1", { rack: null });
  assert.equal((await record("a1"))?.rack, undefined);
  await putCopy("b1");
  await assertRefused(subject, setNode(catalog, "b1", { domain: "a" }), /copies are on record on node b1/);
  await assertRefused(
    subject,
    setNode(catalog, "a2", { domain: "b" }),
    /domains\.a is an active domain without any node/,
  );
  await setNode(catalog, "b1", { domain: "b", weight: 5 });
  assert.equal((await record("b1"))?.weight, 5);
});

test("a domain is added without copies, takes them when it has a node, and goes when it has none", async () => {
  const subject = await open();
  const { catalog, clock, ids, stored } = subject;
  await assertRefused(
    subject,
    addDomain(catalog, "c", { acceptsWrites: true }),
    /domains\.c is an active domain without/,
  );
  await addDomain(catalog, "c", {});
  await assertRefused(subject, addDomain(catalog, "c", {}), /there is a domain c already/);
  await assertRefused(
    subject,
    setDomain(catalog, "c", { acceptsWrites: true }),
    /domains\.c is an active domain without/,
  );
  await addNode(catalog, withConnection(configured("c1", "c")), ids);
  await assertRefused(subject, setPolicy({ catalog, clock }, { factor: 3 }), /replication\.factor must be at most 2/);
  await setDomain(catalog, "c", { acceptsWrites: true });
  await setPolicy({ catalog, clock }, { factor: 3 });
  await assertRefused(
    subject,
    setDomain(catalog, "c", { acceptsWrites: false }),
    /replication\.factor must be at most 2/,
  );
  await assertRefused(subject, removeDomain(catalog, "c"), /domain c has nodes: c1/);
  await setPolicy({ catalog, clock }, { factor: 2 });
  await setDomain(catalog, "c", { acceptsWrites: false });
  await removeNode(catalog, "c1", { lost: false });
  await removeDomain(catalog, "c");
  assert.deepEqual(
    (await stored()).topology.domains.map(({ name }) => name),
    ["a", "b"],
  );
  await assertRefused(subject, removeDomain(catalog, "c"), /there is no domain c/);
});

test("the priority is the place among the active domains, the standby domain comes last and takes no copies", async () => {
  const subject = await open();
  const { catalog, stored } = subject;
  const order = async (): Promise<string> => (await stored()).topology.domains.map(({ name }) => name).join(" ");
  await addDomain(catalog, "s", { role: "standby" });
  await addDomain(catalog, "c", { priority: 0 });
  assert.equal(await order(), "c a b s");
  await setDomain(catalog, "c", { priority: 2 });
  assert.equal(await order(), "a b c s");
  await assertRefused(subject, setDomain(catalog, "s", { priority: 0 }), /the standby domain has no priority/);
  await assertRefused(
    subject,
    setDomain(catalog, "s", { acceptsWrites: true }),
    /domains\.s\.acceptsWrites must be false/,
  );
  await assertRefused(subject, addDomain(catalog, "t", { role: "standby" }), /domains\.t\.role must be active/);
});

test("the policy is changed as a whole, words for a quorum follow the factor, and past factors are on record", async () => {
  const subject = await open();
  const { catalog, clock, kv, stored } = subject;
  const policy = async () => (await stored()).topology.replication;
  await assertRefused(
    subject,
    setPolicy({ catalog, clock }, { factor: 1 }),
    /replication\.quorum must be at most 1, the factor/,
  );
  await setPolicy({ catalog, clock }, { factor: 1, quorum: "auto", degradedWrite: { handoff: "none" } });
  assert.deepEqual(await policy(), {
    ...policyOf(1),
    degradedWrite: { enabled: true, minReplicas: 1, handoff: "none" },
  });
  const past = decodePolicyHistory((await kv.get(policyHistoryKey()))?.value ?? Buffer.alloc(0));
  assert.deepEqual(past, [{ factor: 2, untilMs: clock.nowMs() }]);
  const { epoch } = (await stored()).topology;
  await assertRefused(subject, setPolicy({ catalog, clock }, { factor: 2 }, epoch - 1), /have version \d+, not \d+/);
  await setPolicy({ catalog, clock }, { factor: 2, quorum: "all" }, epoch);
  assert.equal((await policy()).quorum, 2);
});

test("a configuration that contradicts what was changed meanwhile is refused as a whole", async () => {
  const subject = await open();
  const { catalog, clock, ids } = subject;
  const nodes = ["a1", "a2", "b1", "b2"].map((name) => configured(name, name.slice(0, 1)));
  const file = { domains: [domainOf("a"), domainOf("b")], nodes, virtualNodesPerNode: 150, replication: policyOf(2) };
  await addDomain(catalog, "c", {});
  await addNode(catalog, withConnection(configured("c1", "c")), ids);
  await setDomain(catalog, "c", { acceptsWrites: true });
  await setPolicy({ catalog, clock }, { factor: 3 });
  const narrower = {
    ...file,
    domains: [domainOf("a"), domainOf("b", { acceptsWrites: false })],
    replication: policyOf(1),
  };
  await assert.rejects(applyConfiguration(catalog, narrower, ids), /replication\.factor/);
  const without = [domainOf("a"), domainOf("b", { acceptsWrites: false })];
  await assertRefused(
    subject,
    applyConfiguration(catalog, { ...file, domains: without }, ids),
    /replication\.factor must be at most 2/,
  );
});

type Step =
  | { readonly do: "add"; readonly name: string; readonly domain: string; readonly weight: number }
  | { readonly do: "remove"; readonly name: string; readonly lost: boolean }
  | { readonly do: "set"; readonly name: string; readonly weight: number; readonly acceptsWrites: boolean }
  | { readonly do: "move"; readonly name: string; readonly domain: string }
  | { readonly do: "add-domain" | "remove-domain"; readonly domain: string }
  | {
      readonly do: "set-domain";
      readonly domain: string;
      readonly acceptsWrites: boolean;
      readonly replicaCount: number;
    }
  | { readonly do: "policy"; readonly factor: number; readonly quorum: number };

function run({ catalog, clock, ids }: Subject, step: Step): Promise<unknown> {
  switch (step.do) {
    case "add":
      return addNode(catalog, withConnection(configured(step.name, step.domain, { weight: step.weight })), ids);
    case "remove":
      return removeNode(catalog, step.name, step);
    case "set":
      return setNode(catalog, step.name, { weight: step.weight, acceptsWrites: step.acceptsWrites });
    case "move":
      return setNode(catalog, step.name, { domain: step.domain });
    case "add-domain":
      return addDomain(catalog, step.domain, {});
    case "remove-domain":
      return removeDomain(catalog, step.domain);
    case "set-domain":
      return setDomain(catalog, step.domain, { acceptsWrites: step.acceptsWrites, replicaCount: step.replicaCount });
    case "policy":
      return setPolicy({ catalog, clock }, { factor: step.factor, quorum: step.quorum });
  }
}

const KEYS = Array.from({ length: 1_500 }, (_, key) => quickHasher(`key ${key}`));
/** Of a domain's keys, beyond the share that has to move: rings are even to within a few per cent. */
const STRAY = 0.08;

/** The first node of each key in each domain that takes copies, and each node's share by weight. */
function rings({ topology }: StoredTopology): Map<string, { owners: (Id | undefined)[]; shares: Map<Id, number> }> {
  return new Map(
    topology.domains.map(({ name }) => {
      const members = topology.nodes.filter((node) => node.domain === name && node.acceptsWrites);
      const ring = createRing({ members, virtualNodesPerNode: topology.virtualNodesPerNode, hasher: quickHasher });
      const total = members.reduce((sum, { weight }) => sum + weight, 0);
      const shares = new Map(members.map(({ uuid, weight }) => [uuid, total === 0 ? 0 : weight / total]));
      const owners = KEYS.map((hash) => [...ring.walk(hash)][0]?.uuid);
      return [name, { owners, shares }];
    }),
  );
}

test("any sequence of changes keeps the topology sound, and moves only the shares that changed (property)", async () => {
  const name = fc.constantFrom("a1", "a2", "b1", "b2", "c1", "x1", "x2");
  const domain = fc.constantFrom("a", "b", "c");
  const weight = fc.constantFrom(0, 50, 100, 200);
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant("add" as const), name, domain, weight }),
    fc.record({ do: fc.constant("remove" as const), name, lost: fc.boolean() }),
    fc.record({ do: fc.constant("set" as const), name, weight, acceptsWrites: fc.boolean() }),
    fc.record({ do: fc.constant("move" as const), name, domain }),
    fc.record({ do: fc.constantFrom("add-domain" as const, "remove-domain" as const), domain }),
    fc.record({
      do: fc.constant("set-domain" as const),
      domain,
      acceptsWrites: fc.boolean(),
      replicaCount: fc.integer({ min: 0, max: 2 }),
    }),
    fc.record({
      do: fc.constant("policy" as const),
      factor: fc.integer({ min: 1, max: 3 }),
      quorum: fc.integer({ min: 1, max: 3 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const subject = await open();
      let before = await subject.stored();
      for (const each of steps) {
        const version = await subject.kv.version();
        const refused = await run(subject, each).then(
          () => false,
          (error: unknown) => {
            assert.ok(error instanceof TopologyChangeError, String(error));
            return true;
          },
        );
        const after = await subject.stored();
        if (refused) assert.equal(await subject.kv.version(), version);
        assert.deepEqual(topologyProblems(ruled(after)), []);
        assert.ok(after.topology.epoch >= before.topology.epoch);
        const [was, is] = [rings(before), rings(after)];
        for (const [of, { owners, shares }] of is) {
          const earlier = was.get(of);
          // A ring without weight owns nothing, so that all of it moves.
          const hasWeight = (each: ReadonlyMap<Id, number> | undefined): boolean =>
            [...(each?.values() ?? [])].some((share) => share > 0);
          if (earlier === undefined || !hasWeight(earlier.shares) || !hasWeight(shares)) continue;
          const moved = owners.filter((owner, at) => owner !== earlier.owners[at]).length / owners.length;
          const uuids = new Set([...shares.keys(), ...earlier.shares.keys()]);
          const gained = [...uuids].reduce(
            (sum, uuid) => sum + Math.max(0, (shares.get(uuid) ?? 0) - (earlier.shares.get(uuid) ?? 0)),
            0,
          );
          assert.ok(moved <= gained + STRAY, `${moved} of the keys of ${of} moved for a share of ${gained}`);
        }
        before = after;
      }
    }),
    { numRuns: 60 },
  );
});

test("what a node's record says is in its own commit: a change and a removal at one time do not both happen", async () => {
  const subject = await open();
  const { catalog, kv, record, uuid } = subject;
  const gone = await uuid("a2");
  kv.hooks.commit = async (_request, pass) => {
    kv.hooks = {};
    await removeNode(catalog, "a2", { lost: false });
    return pass();
  };
  await assert.rejects(setNode(catalog, "a2", { weight: 3 }), /there is no node a2/);
  assert.equal(await record("a2"), undefined);
  assert.equal(await kv.get(nodeKey(gone)), undefined);
});
