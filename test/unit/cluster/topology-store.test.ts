import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Catalog, openCatalog } from "../../../src/catalog/catalog.ts";
import { copyIndexKey, nodeKey, topologyKey } from "../../../src/catalog/keys.ts";
import { CatalogError } from "../../../src/catalog/kv.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { setNode } from "../../../src/cluster/change-nodes.ts";
import type { ConfiguredNode, ConfiguredTopology } from "../../../src/cluster/configured-topology.ts";
import { TopologyConflictError } from "../../../src/cluster/merge-topology.ts";
import { TopologyChangeError } from "../../../src/cluster/topology-change-error.ts";
import { decodeNode, encodeNode, type NodeRecord } from "../../../src/cluster/topology-records.ts";
import {
  applyConfiguration,
  loadTopology,
  recordAdmission,
  type StoredTopology,
} from "../../../src/cluster/topology-store.ts";
import type { TopologyNode } from "../../../src/placement/topology.ts";
import { type Id, type IdSource, idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { HookedKv, type KvHooks } from "../../support/hooked-kv.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { domainOf, policyOf, standbyDomain } from "../placement/topologies.ts";

interface Store {
  readonly catalog: Catalog;
  readonly kv: HookedKv;
  readonly ids: IdSource;
  readonly apply: (nodes: readonly ConfiguredNode[], change?: Partial<ConfiguredTopology>) => Promise<StoredTopology>;
}

async function openStore(): Promise<Store> {
  const clock = new ManualClock();
  const kv = new HookedKv(memoryKv());
  const ids = idSource(clock, seededRandom(1));
  const catalog = await openCatalog(kv, { clock, ids, host: "test", pid: 1 });
  return {
    catalog,
    kv,
    ids,
    apply: (nodes, change = {}) =>
      applyConfiguration(
        catalog,
        {
          domains: [domainOf("d0"), domainOf("d1"), standbyDomain],
          nodes,
          virtualNodesPerNode: 16,
          replication: policyOf(2),
          ...change,
        },
        ids,
      ),
  };
}

function configured(name: string, change: Partial<ConfiguredNode> = {}): ConfiguredNode {
  return {
    name,
    domain: "d0",
    weight: 100,
    acceptsWrites: true,
    physicalStorageId: name,
    host: `host of ${name}`,
    diskType: "ssd",
    ...change,
  };
}

function named({ topology }: StoredTopology, name: string): TopologyNode {
  return topology.nodes.find((node) => node.name === name) ?? assert.fail(`there is no node ${name}`);
}

test("a catalog that has none gets the configuration's topology in its first epoch", async () => {
  const { apply, kv, catalog } = await openStore();
  assert.equal(await loadTopology(kv), undefined);
  const rack = { rack: "r1", domain: "standby", weight: 0, acceptsWrites: false, diskType: "nvme" as const };
  const stored = await apply([configured("a"), configured("b", rack)]);
  assert.equal(stored.topology.epoch, 1);
  assert.deepEqual(
    stored.topology.domains.map(({ name }) => name),
    ["d0", "d1", "standby"],
  );
  const { uuid, writeGeneration, ...rest } = named(stored, "b");
  assert.match(uuid, /^[0-9a-f]{32}$/);
  assert.equal(writeGeneration, (await catalog.kv.get(nodeKey(uuid)))?.version);
  assert.deepEqual(rest, { ...configured("b", rack), homeDomain: "standby" });
  assert.deepEqual([stored.records.get(uuid)?.admitted, stored.records.get(uuid)?.configured], [false, true]);
  assert.deepEqual(await loadTopology(kv), stored);
});

test("the same configuration changes nothing, in whatever order it names the nodes", async () => {
  const { apply, kv } = await openStore();
  const first = await apply([configured("a"), configured("b")]);
  let commits = 0;
  kv.hooks.commit = (_, pass) => {
    commits++;
    return pass();
  };
  assert.deepEqual(await apply([configured("b"), configured("a")]), first);
  assert.equal(commits, 0);
});

test("a node that changed gets a new epoch and a write generation of its own, the others keep theirs", async () => {
  const { apply } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  for (const change of [
    { weight: 50 },
    { acceptsWrites: false },
    { rack: "r2" },
    { host: "elsewhere" },
    { physicalStorageId: "s" },
    { diskType: "hdd" as const },
    { domain: "d1" },
  ]) {
    const { apply: applyTo } = await openStore();
    const [first, after] = [
      await applyTo([configured("a"), configured("b")]),
      await applyTo([configured("a", change), configured("b")]),
    ];
    assert.equal(after.topology.epoch, 2);
    assert.equal(named(after, "a").uuid, named(first, "a").uuid);
    assert.ok(named(after, "a").writeGeneration > named(first, "a").writeGeneration);
    assert.equal(named(after, "b").writeGeneration, named(first, "b").writeGeneration);
    const { uuid: _uuid, writeGeneration: _generation, homeDomain, ...rest } = named(after, "a");
    assert.deepEqual([rest, homeDomain], [configured("a", change), rest.domain]);
  }
  assert.equal(before.topology.epoch, 1);
});

test("a change of the policy, the domains or the rings is a new epoch, and touches no node", async () => {
  for (const change of [
    { replication: policyOf(2, { quorum: 1 }) },
    { domains: [domainOf("d1"), domainOf("d0")] },
    { virtualNodesPerNode: 32 },
  ]) {
    const { apply } = await openStore();
    const before = await apply([configured("a")]);
    const after = await apply([configured("a")], change);
    assert.equal(after.topology.epoch, 2);
    assert.deepEqual(after.topology.nodes, before.topology.nodes);
    assert.deepEqual({ ...after.topology, ...change, epoch: 2 }, after.topology);
  }
});

test("a node that is not named any more takes no writes and keeps its record, and is the same when it is named again", async () => {
  const { apply, catalog } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  const { uuid } = named(before, "b");
  await recordAdmission(catalog, uuid);
  const without = await apply([configured("a")]);
  assert.equal(without.topology.epoch, 2);
  assert.equal(named(without, "b").acceptsWrites, false);
  assert.deepEqual([without.records.get(uuid)?.configured, without.records.get(uuid)?.admitted], [false, true]);
  assert.deepEqual(await apply([configured("a")]), without);
  const again = await apply([configured("b"), configured("a")]);
  assert.equal(named(again, "b").uuid, uuid);
  assert.equal(named(again, "b").acceptsWrites, true);
  assert.ok(named(again, "b").writeGeneration > named(before, "b").writeGeneration);
  assert.equal(again.records.get(uuid)?.admitted, true);
});

/** A file that names nodes, some of them with the name that they had before. */
function renamed(...nodes: readonly (readonly [name: string, former?: string])[]): {
  readonly nodes: readonly ConfiguredNode[];
  readonly change: Partial<ConfiguredTopology>;
} {
  const formerNames = new Map(nodes.flatMap(([name, former]) => (former === undefined ? [] : [[name, former]])));
  return { nodes: nodes.map(([name]) => configured(name)), change: { formerNames } };
}

test("a node whose former name the configuration tells is the same node under the new name, once and for all", async () => {
  const { apply, catalog } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  const { uuid } = named(before, "b");
  await recordAdmission(catalog, uuid);
  const { nodes, change } = renamed(["a"], ["c", "b"]);
  const after = await apply(nodes, change);
  assert.deepEqual([named(after, "c").uuid, after.topology.epoch], [uuid, 2]);
  assert.equal(named(after, "c").physicalStorageId, "c", "what the file says of it anew is carried over");
  assert.equal(after.records.get(uuid)?.admitted, true);
  assert.equal(after.records.size, 2);
  assert.deepEqual(await apply(nodes, change), after, "the former name may stay in the file");
  assert.deepEqual(await apply(nodes), after, "and may be taken out");
});

test("what was set of a node by command stays when the file gives it another name, and a conflict is told by that", async () => {
  const { apply, catalog } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  const { uuid } = named(before, "b");
  await setNode(catalog, "b", { weight: 7 });
  const { nodes, change } = renamed(["a"], ["c", "b"]);
  assert.equal(named(await apply(nodes, change), "c").weight, 7);
  await setNode(catalog, "c", { weight: 8 });
  const [a, c] = renamed(["a"], ["e", "c"]).nodes;
  const conflicting = [a ?? assert.fail(), { ...(c ?? assert.fail()), weight: 9 }];
  await assert.rejects(apply(conflicting, { formerNames: new Map([["e", "c"]]) }), /nodes\.e\.weight was 100, is 9/);
  assert.equal((await loadTopology(catalog.kv))?.records.get(uuid)?.name, "c");
});

test("a node that got a new name without a word of the old one is the same again as soon as the file tells it", async () => {
  const { apply, catalog } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  const { uuid } = named(before, "b");
  await recordAdmission(catalog, uuid);
  const mistaken = await apply([configured("a"), configured("c", { weight: 50 })]);
  assert.notEqual(named(mistaken, "c").uuid, uuid);
  assert.equal(mistaken.records.get(uuid)?.configured, false);
  const after = await apply([configured("a"), configured("c", { weight: 50 })], { formerNames: new Map([["c", "b"]]) });
  assert.deepEqual([named(after, "c").uuid, named(after, "c").weight], [uuid, 50]);
  assert.deepEqual([after.records.size, after.records.get(uuid)?.configured], [2, true]);
});

test("two nodes of the cluster do not become one by a name", async () => {
  const { apply, catalog, kv } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  for (const { uuid } of before.topology.nodes) await recordAdmission(catalog, uuid);
  const { nodes, change } = renamed(["a", "b"]);
  const stored = await loadTopology(kv);
  await assert.rejects(
    apply(nodes, change),
    (error) => error instanceof TopologyChangeError && error.message.startsWith("nodes.a.formerName is b, and"),
  );
  assert.deepEqual(await loadTopology(kv), stored);
});

test("a node on which copies are on record stays in its domain, whatever the configuration says; an empty one moves", async () => {
  const { apply, catalog, kv } = await openStore();
  const before = await apply([configured("a"), configured("b")]);
  const { uuid } = named(before, "b");
  const moved = [configured("a"), configured("b", { domain: "d1" })];
  const copy = copyIndexKey(uuid, `00000001/${"0".repeat(32)}`);
  await catalog.commit(catalog.begin().set(copy, Buffer.of()));
  const refused = (error: unknown): boolean =>
    error instanceof TopologyChangeError && /^nodes\.b\.faultDomain is d1 .* belong to d0/.test(error.message);
  const stored = await loadTopology(kv);
  await assert.rejects(apply(moved), refused);
  await assert.rejects(
    apply([configured("a"), configured("c", { domain: "d1" })], { formerNames: new Map([["c", "b"]]) }),
  );
  assert.deepEqual(await loadTopology(kv), stored, "nothing of it is applied");
  assert.equal(named(await apply([configured("a"), configured("b", { weight: 5 })]), "b").weight, 5);

  await catalog.commit(catalog.begin().delete(copy));
  // A copy that comes to be there while it is moved.
  kv.hooks.commit = async (_, pass) => {
    kv.hooks = {};
    await kv.atomic().set(copy, Buffer.of()).commit();
    return pass();
  };
  await assert.rejects(apply(moved), refused);
  await catalog.commit(catalog.begin().delete(copy));
  assert.equal(named(await apply(moved), "b").domain, "d1");
});

test("after any configurations the topology is the last one's, and no node was forgotten or renamed", async () => {
  const aNode = fc.record({
    name: fc.constantFrom("a", "b", "c", "d"),
    weight: fc.constantFrom(50, 100),
    domain: fc.constantFrom("d0", "d1"),
  });
  const someNodes = fc.uniqueArray(aNode, { selector: ({ name }) => name, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(someNodes, { minLength: 1, maxLength: 6 }), async (configurations) => {
      const { apply } = await openStore();
      const uuids = new Map<string, string>();
      let epoch = 0;
      for (const nodes of configurations) {
        const stored = await apply(nodes.map(({ name, ...change }) => configured(name, change)));
        assert.ok(stored.topology.epoch >= epoch);
        epoch = stored.topology.epoch;
        for (const { name, uuid } of stored.topology.nodes) {
          assert.equal(uuids.get(name) ?? uuid, uuid);
          uuids.set(name, uuid);
        }
        assert.equal(stored.topology.nodes.length, uuids.size);
        for (const node of stored.topology.nodes) {
          const asked = nodes.find(({ name }) => name === node.name);
          assert.equal(node.acceptsWrites, asked !== undefined);
          if (asked !== undefined) assert.deepEqual([node.weight, node.domain], [asked.weight, asked.domain]);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("a topology that another process changed meanwhile is looked at again, and given up when it keeps changing", async () => {
  const { apply, kv } = await openStore();
  await apply([configured("a")]);
  let intrusions = 1;
  const intrude: NonNullable<KvHooks["commit"]> = async (_, pass) => {
    if (intrusions-- > 0) {
      kv.hooks = {};
      const entry = (await kv.get(topologyKey())) ?? assert.fail();
      await kv.atomic().set(entry.key, entry.value).commit();
      kv.hooks = { commit: intrude };
    }
    return pass();
  };
  kv.hooks = { commit: intrude };
  assert.equal((await apply([configured("a"), configured("b")])).topology.epoch, 2);
  intrusions = Number.POSITIVE_INFINITY;
  await assert.rejects(
    apply([configured("a")]),
    (error) => error instanceof CatalogError && error.kind === "unavailable",
  );
});

test("an admission is recorded once, under a new write generation, and on what the record is then", async () => {
  const { apply, catalog, kv } = await openStore();
  const before = await apply([configured("a")]);
  const { uuid, writeGeneration } = named(before, "a");
  const generation = await recordAdmission(catalog, uuid);
  assert.ok(generation !== undefined && generation > writeGeneration);
  assert.equal(await recordAdmission(catalog, uuid), generation);
  const after = (await loadTopology(kv)) ?? assert.fail();
  assert.equal(named(after, "a").writeGeneration, generation);
  assert.equal(after.records.get(uuid)?.admitted, true);
  assert.equal(after.topology.epoch, before.topology.epoch);
  assert.equal(await recordAdmission(catalog, "9".repeat(32)), undefined);
});

test("an admission that meets a change of the node is not recorded", async () => {
  const { apply, catalog, kv } = await openStore();
  const { uuid } = named(await apply([configured("a")]), "a");
  kv.hooks.commit = async (_, pass) => {
    kv.hooks = {};
    await apply([configured("a", { weight: 1 })]);
    return pass();
  };
  assert.equal(await recordAdmission(catalog, uuid), undefined);
  const stored = (await loadTopology(kv)) ?? assert.fail();
  assert.deepEqual([stored.records.get(uuid)?.admitted, named(stored, "a").weight], [false, 1]);
});

/** What an operator or a promotion does to a node, past the configuration. */
async function change({ catalog, kv }: Store, uuid: Id, to: Partial<NodeRecord>): Promise<void> {
  const entry = (await kv.get(nodeKey(uuid))) ?? assert.fail();
  const record = encodeNode({ ...decodeNode(entry.value), ...to });
  assert.ok((await catalog.commit(catalog.begin().check(entry.key, entry.version).set(entry.key, record))).committed);
}

test("what was changed in the catalog stays when the same configuration is applied again, or one that changes other things", async () => {
  const store = await openStore();
  const { uuid } = named(await store.apply([configured("a"), configured("b")]), "a");
  await change(store, uuid, { weight: 50 });
  assert.equal(named(await store.apply([configured("a"), configured("b")]), "a").weight, 50);
  const rack = await store.apply([configured("a", { rack: "r1" }), configured("b")]);
  assert.deepEqual([named(rack, "a").weight, named(rack, "a").rack], [50, "r1"]);
});

test("a configuration that contradicts such a change is refused by name, and nothing of it is applied", async () => {
  const store = await openStore();
  const before = await store.apply([configured("a"), configured("b")]);
  await change(store, named(before, "a").uuid, { weight: 50 });
  const contradicting = [configured("a", { weight: 60 }), configured("b", { weight: 1 })];
  await assert.rejects(store.apply(contradicting), TopologyConflictError);
  const after = (await loadTopology(store.kv)) ?? assert.fail();
  assert.deepEqual([named(after, "a").weight, named(after, "b").weight], [50, 100]);
  assert.equal(after.topology.epoch, before.topology.epoch);
  assert.equal(named(await store.apply([configured("a", { weight: 50 }), configured("b")]), "a").weight, 50);
});

test("a node that was promoted stays where it is over a start, and goes where a configuration moves its home", async () => {
  const store = await openStore();
  const nodes = [configured("a"), configured("s", { domain: "standby" })];
  const { uuid } = named(await store.apply(nodes), "s");
  await change(store, uuid, { domain: "d0" });
  const again = named(await store.apply(nodes), "s");
  assert.deepEqual([again.domain, again.homeDomain], ["d0", "standby"]);
  const moved = named(await store.apply([configured("a"), configured("s", { domain: "d1" })]), "s");
  assert.deepEqual([moved.domain, moved.homeDomain], ["d1", "d1"]);
});
