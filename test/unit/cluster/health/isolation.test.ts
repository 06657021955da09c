/** A gateway that is cut off itself does nothing about the nodes that it misses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Catalog, endOtherSessions, openCatalog } from "../../../../src/catalog/catalog.ts";
import { sessionKey } from "../../../../src/catalog/keys.ts";
import { encodeSession } from "../../../../src/catalog/records/cluster.ts";
import type { NewEvent } from "../../../../src/cluster/events/event.ts";
import { type SeenNode, whyIsolated } from "../../../../src/cluster/health/isolation.ts";
import { IsolationGuard } from "../../../../src/cluster/health/isolation-guard.ts";
import { type HealthReport, writeReport } from "../../../../src/cluster/health/reports.ts";
import type { NodeState } from "../../../../src/cluster/members.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { type Cluster, INTERVAL_MS, openCluster } from "../test-cluster.ts";

const ACTIVE = { minNodes: 1, replicaCount: 1, acceptsWrites: true };

/** `a b c: s` are domains a, b and c and the standby domain s. */
interface Site {
  readonly active: readonly string[];
  readonly nodes: readonly SeenNode[];
}

/** Nodes named by their domain and a number, as many a domain as given, those in `away` unreachable. */
function site(active: readonly string[], perDomain: number, away: readonly string[] = [], standby = 0): Site {
  const names = [
    ...active.flatMap((domain) => Array.from({ length: perDomain }, (_, at) => [`${domain}${at}`, domain] as const)),
    ...Array.from({ length: standby }, (_, at) => [`s${at}`, "s"] as const),
  ];
  return {
    active,
    nodes: names.map(([uuid, domain]) => node(uuid, domain, away.includes(uuid) ? "unreachable" : "online")),
  };
}

function node(
  uuid: string,
  domain: string,
  state: NodeState,
  missedProbes = state === "unreachable" ? 5 : 0,
): SeenNode {
  return { spec: { uuid, domain }, state, missedProbes };
}

/** What this gateway, of session 1, finds, where the others of these sessions miss these nodes. */
function ask({ active, nodes }: Site, others: Readonly<Record<number, readonly string[]>> = {}): string | undefined {
  const reports = new Map<number, HealthReport>();
  for (const [session, missed] of Object.entries(others)) {
    if (missed.length > 0) reports.set(Number(session), { beat: 1, missed: new Map(missed.map((uuid) => [uuid, 3])) });
  }
  const domains = [
    ...active.map((name) => ({ name, role: "active" as const, ...ACTIVE })),
    { name: "s", role: "standby" as const, ...ACTIVE },
  ];
  const gateways = new Set([1, ...Object.keys(others).map(Number)]);
  return whyIsolated({ topology: { domains }, members: nodes, session: 1, gateways, reports });
}

test("a gateway alone takes the loss of one domain of two for one, whatever its size, and of two domains of three", () => {
  for (const perDomain of [1, 2, 3]) {
    const lost = Array.from({ length: perDomain }, (_, at) => `a${at}`);
    assert.equal(ask(site(["a", "b"], perDomain, lost)), undefined, `${perDomain} nodes a domain`);
  }
  assert.equal(ask(site(["a", "b", "c"], 1, ["a0", "b0"])), undefined);
});

test("a gateway alone that finds no node at all, or none of any active domain, holds back", () => {
  assert.match(
    ask(site(["a", "b"], 1, ["a0", "b0"])) ?? "",
    /^2 of 2 nodes do not answer this gateway: nothing is left/,
  );
  assert.match(ask(site(["a", "b"], 2, ["a0", "a1", "b0", "b1"], 1)) ?? "", /4 of 5 nodes .* all active domains/);
  assert.match(ask(site(["a"], 1, ["a0"])) ?? "", /1 of 1 nodes/);
  assert.equal(ask(site(["a"], 1, ["a0"], 1)), undefined, "one active domain: a standby node is what is left");
});

test("with another gateway that sees them, more than a third of the nodes, or two whole domains, hold it back", () => {
  assert.match(ask(site(["a", "b"], 1, ["a0"]), { 2: [] }) ?? "", /by the word of other gateways 1 of those are there/);
  assert.match(ask(site(["a", "b"], 3, ["a0", "a1", "a2"]), { 2: [] }) ?? "", /3 of 6 nodes/);
  assert.equal(ask(site(["a", "b"], 3, ["a0", "a1"]), { 2: [] }), undefined, "a third is no more than that");
  assert.equal(ask(site(["a", "b", "c", "d", "e"], 3, ["a0", "a1", "a2"]), { 2: [] }), undefined, "one domain of five");
  assert.match(ask(site(["a", "b", "c", "d", "e", "f", "g"], 1, ["a0", "b0"]), { 2: [] }) ?? "", /2 of 7/);
});

test("what most gateways miss is lost", () => {
  const lost = site(["a", "b"], 2, ["a0", "a1"]);
  assert.equal(ask(lost, { 2: ["a0", "a1"] }), undefined);
  assert.notEqual(ask(lost, { 2: ["a0"] }), undefined, "one of them is seen");
  assert.notEqual(ask(lost, { 2: ["a0", "a1"], 3: [], 4: [] }), undefined, "two of four gateways are not most");
  assert.equal(ask(lost, { 2: ["a0", "a1"], 3: [] }), undefined, "two of three are");
});

test("nodes whose silence does not show in their states yet count, once there is anything to act on", () => {
  const nodes = (missed: number): Site => ({
    active: ["a", "b"],
    nodes: [node("a0", "a", "degraded", missed), node("b0", "b", "online", 1)],
  });
  assert.equal(ask(nodes(2)), undefined, "a probe or two is lost every day");
  assert.match(ask(nodes(3)) ?? "", /2 of 2/);
});

test("nodes that answer whatever they say, and those that were decommissioned, are not silent", () => {
  for (const state of ["access-denied", "replaced", "refused", "degraded", "joining"] as const) {
    assert.equal(
      ask({ active: ["a", "b"], nodes: [node("a0", "a", state), node("b0", "b", state)] }),
      undefined,
      state,
    );
  }
  const away = [node("a0", "a", "decommissioned", 40), node("a1", "a", "online"), node("b0", "b", "online")];
  assert.equal(ask({ active: ["a", "b"], nodes: [...away, node("b1", "b", "unreachable")] }, { 2: [] }), undefined);
});

/** A guard of a gateway of its own, on the cluster's nodes `a` and `b`, with another gateway beside it. */
async function guarded(cluster: Cluster): Promise<{
  readonly guard: IsolationGuard;
  readonly events: NewEvent[];
  readonly other: Catalog;
  readonly pass: (intervals: number, reported?: HealthReport["missed"]) => Promise<void>;
}> {
  const { clock, kv } = cluster;
  const open = (pid: number): Promise<Catalog> =>
    openCatalog(kv, { clock, ids: idSource(clock, seededRandom(pid)), host: "g", pid });
  const catalog = await open(2);
  await endOtherSessions(catalog);
  const other = await open(3);
  const events: NewEvent[] = [];
  const guard = new IsolationGuard({
    catalog,
    members: () => cluster.members,
    clock,
    logger: silentLogger,
    intervalMs: INTERVAL_MS,
    record: (event) => void events.push(event),
  });
  let beat = 0;
  const pass = async (intervals: number, reported?: HealthReport["missed"]): Promise<void> => {
    for (let interval = 0; interval < intervals; interval++) {
      await cluster.pass(INTERVAL_MS);
      beat += 1;
      if (reported !== undefined) await writeReport(other, { beat, missed: reported });
      await guard.look();
    }
  };
  return { guard, events, other, pass };
}

test("a gateway that misses what another one sees holds back, tells of it once, and for a while after it is back", async () => {
  await using cluster = await openCluster();
  const { guard, events, pass } = await guarded(cluster);
  cluster.handle("a").node.down = true;
  await pass(2);
  assert.equal(guard.holdsBack(), false);
  await pass(6);
  assert.equal(cluster.state("a"), "unreachable");
  assert.equal(guard.holdsBack(), true);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["GATEWAY_ISOLATED"],
  );
  assert.match(events[0]?.cause ?? "", /^1 of 2 nodes do not answer this gateway/);
  cluster.handle("a").node.down = false;
  await pass(1);
  assert.equal(cluster.state("a"), "online");
  assert.equal(guard.holdsBack(), true, "the nodes come back one after the other");
  await pass(3);
  assert.equal(guard.holdsBack(), false);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["GATEWAY_ISOLATED", "GATEWAY_CONNECTED"],
  );
});

test("what the other gateway reports as missed, and keeps reporting, is acted on; an old report is not", async () => {
  await using cluster = await openCluster();
  const { guard, pass } = await guarded(cluster);
  cluster.handle("a").node.down = true;
  const missed = new Map([[cluster.handle("a").uuid, 5]]);
  await pass(8, missed);
  assert.equal(guard.holdsBack(), false);
  await pass(5);
  assert.equal(guard.holdsBack(), true);
});

test("a gateway whose session has ended has no word any more", async () => {
  await using cluster = await openCluster();
  const { guard, other, pass } = await guarded(cluster);
  cluster.handle("a").node.down = true;
  await pass(8);
  assert.equal(guard.holdsBack(), true);
  const ended = encodeSession({ host: "g", pid: 3, startedAtMs: 0, state: "ended" });
  await other.commit(other.begin().set(sessionKey(other.session), ended));
  await pass(4);
  assert.equal(guard.holdsBack(), false);
});
