/**
 * REBALANCE_TO_NEW: the copies that the ring assigns to a node move there from the other nodes of its domain. For a domain
 * as the subject, each copy in it moves to where the ring has it. Nothing else moves, and nothing on account of a node
 * that is only away.
 */

import type { Member, Members } from "../../../cluster/members.ts";
import { sleep } from "../../../shared/clock.ts";
import type { Id } from "../../../shared/ids.ts";
import { JobObsoleteError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";
import { planRebalance } from "../plan-slot.ts";
import { countAll, walkCopies } from "../walk-copies.ts";
import { inPasses, type MovingDeps, planningView, settle } from "./moving.ts";
import { requireSubject } from "./subject.ts";

export interface RebalanceDeps extends MovingDeps {
  /** Whether the source is removed; else it stays on record as surplus. */
  readonly cleanupSource: () => boolean;
}

/** How often it is looked whether the node takes copies again. */
const NODE_WAIT_MS = 5_000;

export async function rebalance(deps: RebalanceDeps, live: LiveJob): Promise<void> {
  const { catalog } = deps;
  const onto = targetOf(live);
  await awaitTarget(deps, live, onto);
  if (live.total === undefined) {
    await live.beginPass(undefined, await countAll(catalog.kv, sourcesOf(deps, live, onto), live.signal));
  }
  await inPasses(deps, live, () =>
    walkCopies(catalog.kv, live, sourcesOf(deps, live, onto), async (found) => {
      await awaitTarget(deps, live, onto);
      const plan = planRebalance(planningView(deps), found.located.blob, found.number, onto);
      await settle(deps, live, found, { plan, source: deps.cleanupSource() ? "dying" : "surplus" });
    }),
  );
}

function targetOf({ record: { subject } }: LiveJob): Id | undefined {
  return subject.kind === "node" ? subject.key : undefined;
}

/** A node that the configuration does not name any more is on record while copies are, and takes none ever again. */
function memberOf(members: Members, uuid: Id): Member {
  const member = members.get(uuid);
  if (member === undefined) throw new JobObsoleteError("the node is no member any more");
  return member;
}

/** The nodes of the domain whose copies may have to move. @throws JobObsoleteError */
function sourcesOf({ members }: RebalanceDeps, live: LiveJob, onto: Id | undefined): Id[] {
  const { topology } = members();
  requireSubject(members(), live);
  const target = onto === undefined ? undefined : memberOf(members(), onto);
  const domain = target?.spec.domain ?? live.record.subject.key;
  return topology.nodes.filter((node) => node.domain === domain && node.uuid !== onto).map(({ uuid }) => uuid);
}

/**
 * Waits while the node cannot take copies: what fails for want of it is no failure of the copies.
 * @throws JobObsoleteError when it is to take none any more
 */
async function awaitTarget({ members, clock }: RebalanceDeps, live: LiveJob, onto: Id | undefined): Promise<void> {
  if (onto === undefined || members().acceptsWrites(onto)) return;
  live.waiting = true;
  live.describe("waiting for the node to take copies");
  while (!members().acceptsWrites(onto)) {
    // The ring gives it nothing then.
    if (!memberOf(members(), onto).spec.acceptsWrites)
      throw new JobObsoleteError("the node was told to take no copies any more");
    await sleep(clock, NODE_WAIT_MS, live.signal);
  }
  live.waiting = false;
  live.describe("moving copies");
}
