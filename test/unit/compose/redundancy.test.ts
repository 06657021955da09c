/** What keeps redundancy, put together: who does it, when, and what each part has the others do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTopology } from "../../../src/cluster/topology-store.ts";
import { keepRedundancy, type RedundancyDeps } from "../../../src/compose/redundancy.ts";
import { silentLogger } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";
import { LostNodes } from "../../../src/replication/repair/lost-nodes.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { turns } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { slotsOf } from "../../support/slots.ts";

const CONFIG: RedundancyDeps["config"] = {
  storage: {
    consistencyRepair: { enabled: true, cron: "0 */15 * * * ?", batchSize: 100, lockTimeoutMs: 600_000 },
    promotion: { intervalMs: 30_000, hysteresisMs: 60_000, coolDownMs: 300_000, autoDemote: false },
  },
};

interface Kept extends AsyncDisposable {
  /** What was done, in order. */
  readonly told: string[];
  readonly schedule: { pattern?: string; run?: () => Promise<void>; stopped?: boolean };
}

function keep(gateway: InMemoryGateway, deps: Partial<RedundancyDeps> = {}): Kept {
  const told: string[] = [];
  const schedule: Kept["schedule"] = {};
  const { catalog, ledger, repairer } = gateway.process;
  const all: RedundancyDeps = {
    config: CONFIG,
    catalog,
    members: () => gateway.members,
    ledger,
    leaders: { catalog, ledger },
    whileLeading: (run) => run,
    onRestored: () => {},
    pace: { object: async () => {}, bytes: async () => {} },
    isGivenUp: () => false,
    clock: gateway.clock,
    loggers: { named: () => silentLogger },
    metrics: createMetrics({ version: "0", processMetrics: false }),
    refreshTopology: async () => void told.push("refresh"),
    onPromoted: (uuid, domain) => void told.push(`promoted ${gateway.nodeOf(uuid).name} ${domain}`),
    cron(pattern, run) {
      Object.assign(schedule, { pattern, run });
      return { stop: () => void Object.assign(schedule, { stopped: true }) };
    },
    ...deps,
  };
  const kept = keepRedundancy(all, {
    lost: new LostNodes(all.members, all.holdsBack),
    repairer,
    wakeRepair: () => void told.push("repair"),
    scrubbing: { requestComparison: (uuid) => void told.push(`compare ${gateway.nodeOf(uuid).name}`) },
  });
  return { told, schedule, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() };
}

async function pass(gateway: InMemoryGateway, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 5) {
    gateway.clock.advance(5_000);
    await turns(20);
  }
}

async function servedBy(gateway: InMemoryGateway, node: string): Promise<string | undefined> {
  return (await loadTopology(gateway.kv))?.topology.nodes.find(({ name }) => name === node)?.domain;
}

test("repair runs by the schedule of the configuration, which ends with the gateway", async () => {
  const { gateway } = await openBox();
  const kept = keep(gateway);
  assert.equal(kept.schedule.pattern, "0 */15 * * * ?");
  await kept.schedule.run?.();
  assert.deepEqual(kept.told, ["repair"]);
  assert.equal(kept.schedule.stopped, undefined);
  await kept[Symbol.asyncDispose]();
  assert.equal(kept.schedule.stopped, true);
});

test("a node that was away for long is compared with the catalog when it is back, one that was away for a moment is not", async () => {
  const { gateway } = await openBox();
  await using kept = keep(gateway);
  gateway.nodeDown("d1-0");
  await pass(gateway, 60);
  gateway.nodeUp("d1-0");
  await pass(gateway, 60);
  assert.deepEqual(kept.told, []);
  gateway.nodeLost("d1-0");
  await pass(gateway, 20);
  gateway.nodeUp("d1-0");
  assert.deepEqual(kept.told, ["compare d1-0"]);
});

test("a domain that lost its node gets a standby node, the topology is read anew, and repair runs", async () => {
  const { gateway } = await openBox({ standbyNodes: 1 });
  await using kept = keep(gateway);
  await pass(gateway, 60);
  gateway.nodeDown("d1-0");
  await pass(gateway, 120);
  assert.equal(await servedBy(gateway, "standby-0"), "d1");
  assert.deepEqual(kept.told, ["refresh", "repair", "promoted standby-0 d1"]);
});

test("a gateway that is cut off takes no copies for lost until it is not", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  await client.put("box/a", Buffer.alloc(1_000));
  let cutOff = true;
  await using _kept = keep(gateway, { holdsBack: () => cutOff });
  const before = await slotsOf(gateway, "a");
  gateway.nodeLost(before[1]?.split(" ")[2] ?? assert.fail());
  await pass(gateway, 60);
  assert.deepEqual(await slotsOf(gateway, "a"), before);
  cutOff = false;
  await pass(gateway, 60);
  assert.match((await slotsOf(gateway, "a"))[1] ?? "", /^unverified/);
});

test("a gateway that is cut off promotes nobody; how long a domain is short counts from when it can be seen", async () => {
  const { gateway } = await openBox({ standbyNodes: 1, nodesPerDomain: 2 });
  let cutOff = true;
  const holdsBack = (): boolean => cutOff;
  await using _kept = keep(gateway, { holdsBack });
  gateway.nodeLost("d1-0");
  gateway.nodeLost("d1-1");
  await pass(gateway, 600);
  assert.equal(await servedBy(gateway, "standby-0"), "standby");
  cutOff = false;
  await pass(gateway, 60);
  assert.equal(
    await servedBy(gateway, "standby-0"),
    "standby",
    "the domain has been seen to be short for no minute yet",
  );
  await pass(gateway, 90);
  assert.equal(await servedBy(gateway, "standby-0"), "d1");
});

test("only who has the lease promotes", async () => {
  const { gateway } = await openBox({ standbyNodes: 1 });
  const asked = new Set<string>();
  await using _kept = keep(gateway, { acquireLease: async (name) => void asked.add(name) });
  gateway.nodeDown("d1-0");
  await pass(gateway, 600);
  assert.equal(await servedBy(gateway, "standby-0"), "standby");
  assert.deepEqual([...asked].sort(), ["absent-nodes", "demoted-nodes", "promotion"]);
});
