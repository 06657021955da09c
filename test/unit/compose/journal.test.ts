/** A catalog that is put back from a backup, and what the nodes that answer at the start know of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openCatalog } from "../../../src/catalog/catalog.ts";
import { Journal } from "../../../src/catalog/journal/journal.ts";
import type { JournalNode } from "../../../src/catalog/journal/journal-nodes.ts";
import { JournaledKv } from "../../../src/catalog/journal/journaled-kv.ts";
import { WHOLE_CATALOG } from "../../../src/catalog/keys.ts";
import type { KvStore } from "../../../src/catalog/kv.ts";
import { memoryKv } from "../../../src/catalog/memory/memory-kv.ts";
import { applyConfiguration, recordAdmission } from "../../../src/cluster/topology-store.ts";
import { catchUpWithNodes, NoJournalError, readOnlyNode, UnseenJournalError } from "../../../src/compose/journal.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { type Id, idSource } from "../../../src/shared/ids.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { assertSame } from "../../support/journal-world.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { TestHandle } from "../cluster/test-cluster.ts";
import { domainOf, policyOf } from "../placement/topologies.ts";

const SETTINGS = { sync: true, collectMs: 0, timeoutMs: 1_000, snapshotIntervalMs: 3_600_000, snapshotBytes: 2 ** 30 };

/** A catalog of three domains with commits behind the backup of it. */
async function site(degraded: boolean) {
  const [clock, random] = [new ManualClock(), seededRandom(1)];
  const ids = idSource(clock, random);
  const store = memoryKv();
  const bare = await openCatalog(store, { clock, ids, host: "test", pid: 1 });
  const domains = ["a", "b", "c"];
  const degradedWrite = { enabled: degraded, minReplicas: 1, handoff: "any" } as const;
  const { topology } = await applyConfiguration(
    bare,
    {
      domains: domains.map((name) => domainOf(name)),
      nodes: domains.map((domain) => ({
        name: domain,
        domain,
        weight: 100,
        acceptsWrites: true,
        physicalStorageId: domain,
        host: domain,
        diskType: "unknown",
      })),
      virtualNodesPerNode: 8,
      replication: policyOf(2, { degradedWrite }),
    },
    ids,
  );
  for (const { uuid } of topology.nodes) await recordAdmission(bare, uuid);
  const handles = new Map(
    topology.nodes.map(({ uuid, name }): [Id, TestHandle] => [uuid, new TestHandle(uuid, name, bare.clusterId)]),
  );
  const nodes = topology.nodes.map(({ uuid, name, domain }): JournalNode => {
    const node = handles.get(uuid)?.node;
    assert.ok(node !== undefined);
    return { ...readOnlyNode({ uuid, name, domain, node }), takesWrites: () => true };
  });
  const cluster = {
    clusterId: bare.clusterId,
    nodes: () => nodes,
    domains: () => domains,
    quorum: () => 2,
    degraded: () => degraded,
  };
  const journal = new Journal({ kv: store, cluster, settings: SETTINGS, clock, random, logger: silentLogger });
  await journal.start({ number: bare.session, version: bare.sessionVersion });
  const backup = memoryKv();
  await copy(store, backup);
  const journaled = new JournaledKv(store, journal);
  for (let i = 0; i < 5; i++) await journaled.atomic().set(Buffer.of(5, i), Buffer.of(i)).commit();
  await journal[Symbol.asyncDispose]();
  const down = (...names: string[]): void => {
    for (const { node } of handles.values()) node.down = names.includes(node.name);
  };
  const deps = { clusterId: bare.clusterId, clock, logger: silentLogger };
  return { store, backup, down, start: (kv: KvStore) => catchUpWithNodes(kv, handles, deps) };
}

async function copy(from: KvStore, to: KvStore): Promise<void> {
  await to.restore(await from.list(WHOLE_CATALOG, { limit: 1_000 }), await from.version());
}

test("a catalog that was put back from a backup is brought up to date by the nodes", async () => {
  const { store, backup, start } = await site(true);
  await start(backup);
  await assertSame(backup, store);
});

test("one that is behind what nodes know is not started on while others may know more, and is left as it is", async () => {
  const { store, backup, down, start } = await site(false);
  const before = await backup.version();
  down("b", "c");
  await assert.rejects(start(backup), UnseenJournalError);
  assert.equal(await backup.version(), before);
  down("c");
  await start(backup);
  await assertSame(backup, store);
});

test("with degraded writes a single node that does not answer may know more", async () => {
  const { backup, down, start } = await site(true);
  down("c");
  await assert.rejects(start(backup), /behind its journal.*start c/);
});

test("one that knows all that the nodes do is started on, whoever does not answer, unless nobody does", async () => {
  const { store, down, start } = await site(true);
  down("a", "c");
  await start(store);
  down("a", "b", "c");
  await assert.rejects(start(store), NoJournalError);
});
