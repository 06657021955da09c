/**
 * DRAIN: every copy leaves a node, or the nodes of a domain, which take no new ones any more. Done when the catalog has
 * nothing on record there, copies that are dying included. What cannot leave stays where it is, and the job says so.
 */

import { copiesRange, pendingDeletesRange } from "../../../catalog/keys.ts";
import type { Members } from "../../../cluster/members.ts";
import type { TopologyNode } from "../../../placement/topology.ts";
import { sleep } from "../../../shared/clock.ts";
import type { Id } from "../../../shared/ids.ts";
import { JobFailedError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";
import { planDrain } from "../plan-slot.ts";
import { changeSlotsOfDomain } from "../take-over.ts";
import { countAll, walkCopies } from "../walk-copies.ts";
import { type MovingDeps, PASS_INTERVAL_MS, PASSES_MAX, planningView, settle } from "./moving.ts";
import { requireSubject } from "./subject.ts";

/** How often it is looked whether the last copies were swept, and how often the node is gone through again meanwhile. */
const SWEEP_POLL_MS = 2_000;
const RESCAN_MS = 60_000;
const CLOSE_WAIT_MS = 120_000;

export async function drain(deps: MovingDeps, live: LiveJob): Promise<void> {
  const { catalog, clock, members } = deps;
  const { kv } = catalog;
  if (live.total === undefined) {
    // What leaves later than this was empty.
    requireSubject(members(), live);
    await awaitClosed(deps, live);
    live.describe("moving copies");
    await live.beginPass(undefined, await countAll(kv, drained(deps, live), live.signal));
  }
  for (let fruitless = 0; ; ) {
    const before = live.movedCount;
    await pass(deps, live);
    if (live.failedCount > 0) {
      fruitless = live.movedCount > before ? 0 : fruitless + 1;
      if (fruitless >= PASSES_MAX) {
        const left = await countAll(kv, drained(deps, live), live.signal);
        return live.describe(`${left} copies are left on it`);
      }
      await sleep(clock, PASS_INTERVAL_MS, live.signal);
    } else if (await awaitEmpty(deps, live)) return live.describe("it is empty");
    await live.beginPass(undefined);
  }
}

/** The node was told to take no copies before the job was made; that reaches every gateway within an interval. */
async function awaitClosed({ members, clock }: MovingDeps, live: LiveJob): Promise<void> {
  const untilMs = clock.monotonicMs() + CLOSE_WAIT_MS;
  const isOpen = (): boolean => nodesOf(members(), live).some(({ uuid }) => accepts(members(), uuid));
  while (isOpen() && clock.monotonicMs() < untilMs) await sleep(clock, SWEEP_POLL_MS, live.signal);
}

async function pass(deps: MovingDeps, live: LiveJob): Promise<void> {
  const { subject, toDomain } = live.record;
  const from = subject.kind === "domain" ? subject.key : undefined;
  await walkCopies(deps.catalog.kv, live, drained(deps, live), async (found) => {
    const takesOver = found.slot.domain === from ? toDomain : undefined;
    const plan = planDrain(planningView(deps), found.located.blob, found.number, takesOver);
    await settle(deps, live, found, { plan, source: "dying" });
  });
  if (from === undefined || toDomain === undefined) return;
  const onHomeless = ({ blobId, slot }: { readonly blobId: Id; readonly slot: number }): Promise<void> =>
    live.failed(blobId, slot, "no other domain is free for it");
  await changeSlotsOfDomain(deps, { from, to: toDomain, onHomeless }, live.signal);
}

/** The nodes that are to be empty. @throws JobFailedError when one of them was told to take copies again */
function drained({ members }: MovingDeps, live: LiveJob): Id[] {
  const own = nodesOf(members(), live);
  const accepting = own.find(({ uuid }) => accepts(members(), uuid));
  if (accepting === undefined) return own.map(({ uuid }) => uuid);
  throw new JobFailedError(`${accepting.name} was told to take copies again while it was drained`);
}

function nodesOf({ topology }: Members, { record: { subject } }: LiveJob): TopologyNode[] {
  return topology.nodes.filter(({ uuid, domain }) => (subject.kind === "node" ? uuid : domain) === subject.key);
}

/** Whether a node takes copies as far as the operator is concerned; one that is not configured does not. */
function accepts(members: Members, uuid: Id): boolean {
  return members.get(uuid)?.spec.acceptsWrites === true;
}

/** Waits until the dying copies are gone. @returns false when it is time to look for others */
async function awaitEmpty(deps: MovingDeps, live: LiveJob): Promise<boolean> {
  const { clock } = deps;
  const untilMs = clock.monotonicMs() + RESCAN_MS;
  try {
    while (!(await isEmpty(deps, live))) {
      live.waiting = true;
      live.describe("all copies have left; waiting until the old ones are removed");
      if (clock.monotonicMs() >= untilMs) return false;
      await live.reached(live.cursor);
      await sleep(clock, SWEEP_POLL_MS, live.signal);
    }
    return true;
  } finally {
    live.waiting = false;
  }
}

/** Whether nothing is on record on the nodes, and those that can be asked have nothing to delete either. */
async function isEmpty(deps: MovingDeps, live: LiveJob): Promise<boolean> {
  const { catalog, members } = deps;
  for (const uuid of drained(deps, live)) {
    if ((await catalog.kv.list(copiesRange(uuid), { limit: 1 })).length > 0) return false;
    if (!members().servesReads(uuid)) continue;
    if ((await catalog.kv.list(pendingDeletesRange(uuid), { limit: 1 })).length > 0) return false;
  }
  return true;
}
