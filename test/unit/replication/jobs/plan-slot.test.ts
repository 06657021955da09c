/** What is planned for a slot, for any blob over any topology. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Blob, Slot } from "../../../../src/catalog/records/blob.ts";
import { compatible } from "../../../../src/placement/constraints.ts";
import { createPlacement } from "../../../../src/placement/placement.ts";
import type { Topology } from "../../../../src/placement/topology.ts";
import {
  nodesBeside,
  type PlanningView,
  planDrain,
  planRebalance,
} from "../../../../src/replication/jobs/plan-slot.ts";
import { evenTopology, policyOf, quickHasher, troubledTopology } from "../../placement/topologies.ts";

/** A blob with its copies wherever a topology as it was before would have put them. */
function blobOver({ placement }: PlanningView, blobId: string, away: ReadonlySet<string>): Blob {
  const plan = placement.plan({ key: blobId, writable: (uuid) => !away.has(uuid) });
  const slots = plan.slots.map(
    ({ domain, candidates: [nodeUuid] }, at): Slot =>
      nodeUuid === undefined
        ? { state: "missing", domain }
        : { state: "ok", domain, location: { nodeUuid, key: `00000001/${String(at).padStart(32, "0")}` } },
  );
  return { blobId, length: 1, blockCrcs: new Uint8Array(4), slots };
}

function viewOf(topology: Topology, away: ReadonlySet<string>): PlanningView {
  const placement = createPlacement(topology, quickHasher);
  const assigned = (uuid: string): boolean => placement.index.get(uuid)?.acceptsWrites === true;
  return {
    placement,
    assigned,
    writable: (uuid) => assigned(uuid) && !away.has(uuid),
    readable: (uuid) => !away.has(uuid),
  };
}

test("whatever is planned, the target takes copies, goes with the others, and is not where the copy is", () => {
  fc.assert(
    fc.property(troubledTopology, fc.nat(), fc.nat(), (topology, blobId, drawn) => {
      const all = topology.nodes.map(({ uuid }) => uuid);
      const before = new Set(all.filter((_, at) => ((drawn >>> (at % 16)) & 1) === 1));
      const now = new Set(all.filter((_, at) => ((drawn >>> ((at + 5) % 16)) & 1) === 1));
      const view = viewOf(topology, now);
      const blob = blobOver(view, `blob ${blobId}`, before);
      blob.slots.forEach((slot, number) => {
        for (const plan of [planRebalance(view, blob, number), planDrain(view, blob, number)]) {
          if (plan.kind !== "move") continue;
          const { nodeUuid, state, domain } = plan.target;
          assert.ok(view.writable(nodeUuid));
          assert.notEqual(nodeUuid, slot.location?.nodeUuid);
          assert.equal(domain, slot.domain);
          const kind = state === "handoff" ? "handoff" : "planned";
          assert.ok(compatible(view.placement.index, nodesBeside(blob, number), nodeUuid, kind));
          if (state === "ok") assert.equal(view.placement.index.get(nodeUuid)?.domain, domain);
        }
      });
    }),
    { numRuns: 100 },
  );
});

test("what is where the ring has it stays, and a node that is away moves nothing", () => {
  const topology = evenTopology(2, 4, policyOf(2));
  const away = new Set(topology.nodes.slice(0, 2).map(({ uuid }) => uuid));
  const view = viewOf(topology, new Set());
  for (let at = 0; at < 200; at++) {
    const blob = blobOver(view, `blob ${at}`, new Set());
    for (const seen of [view, { ...view, writable: (uuid: string) => !away.has(uuid) }]) {
      for (const number of [0, 1]) assert.deepEqual(planRebalance(seen, blob, number), { kind: "stay" });
    }
  }
});

test("of four nodes the new one gets its share within a tenth, and nothing goes between the others", () => {
  const topology = evenTopology(2, 4, policyOf(2));
  const added = topology.nodes.find(({ name }) => name === "d0-3")?.uuid ?? assert.fail();
  const view = viewOf(topology, new Set());
  const count = 4_000;
  let moved = 0;
  for (let at = 0; at < count; at++) {
    const blob = blobOver(view, `blob ${at}`, new Set([added]));
    const number = blob.slots.findIndex(({ domain }) => domain === "d0");
    const plan = planRebalance(view, blob, number);
    if (plan.kind === "stay") continue;
    assert.ok(plan.kind === "move" && plan.target.nodeUuid === added);
    assert.deepEqual(planRebalance(view, blob, number, added), plan);
    moved += 1;
  }
  const ideal = count / 4;
  assert.ok(Math.abs(moved - ideal) <= ideal * 0.1, `${moved} moved, ${ideal} would be ideal`);
});
