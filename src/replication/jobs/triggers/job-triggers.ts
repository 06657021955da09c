/**
 * Queues the jobs that begin by themselves: compares every node with what is on record of it from the last look, queues
 * what plan-triggers.ts says, and only then puts the node on record as it is. Run by the leader alone, and committed by its
 * view of the catalog. Whoever ends between the two has the job queued once more, which joins the one that waits.
 */
import { type Catalog, walk } from "../../../catalog/catalog.ts";
import { nodeOfSeenNode, seenNodeKey, seenNodesRange } from "../../../catalog/keys.ts";
import type { Kv } from "../../../catalog/kv.ts";
import { decodeSeenNode, encodeSeenNode, type SeenNode } from "../../../catalog/records/seen-node.ts";
import type { NewEvent } from "../../../cluster/events/event.ts";
import type { Members } from "../../../cluster/members.ts";
import { LAST_JOURNAL_KEY } from "../../../nodes/copy-key.ts";
import type { Capacity } from "../../../nodes/storage-node.ts";
import type { Logger } from "../../../observability/logger.ts";
import type { TopologyNode } from "../../../placement/topology.ts";
import type { Id } from "../../../shared/ids.ts";
import { copiesBetween } from "../../scrub/copies-of-node.ts";
import { JobError, type JobStore } from "../job-store.ts";
import { findSlot } from "../walk-copies.ts";
import { type NodeNow, planTriggers, seenAsItIs, type Trigger } from "./plan-triggers.ts";

/** Who a job is asked for by that begins by itself. */
export const ASKED_BY_TRIGGER = "bulkhead";

/** Copies of a node that is away among which an unverified one is looked for: all of them are put on record as such. */
const LOOK_COPIES_MAX = 256;

export interface JobTriggersDeps {
  /** The leader's view, as that of the store. */
  readonly catalog: Catalog;
  readonly store: Pick<JobStore, "submit">;
  readonly members: () => Pick<Members, "topology" | "get" | "isLost">;
  /** What a node last told of its capacity; `undefined` where it is not known. */
  readonly capacityOf: (nodeUuid: Id) => Capacity | undefined;
  /** Whether copies are moved to nodes that join without being asked for. */
  readonly rebalances: () => boolean;
  readonly recordEvent: (event: NewEvent) => void;
  /** Told after a job was queued. */
  readonly onQueued: () => void;
  readonly logger: Logger;
}

interface Recorded {
  readonly seen: SeenNode;
  readonly version: number;
}

export class JobTriggers {
  readonly #deps: JobTriggersDeps;

  constructor(deps: JobTriggersDeps) {
    this.#deps = deps;
  }

  /** One look at every node. @throws CatalogError, RecordError, LeadershipLostError; the next look does the rest */
  async run(signal: AbortSignal): Promise<void> {
    const recorded = await this.#recorded();
    const { nodes } = this.#deps.members().topology;
    if (recorded.size === 0) return await this.#begin(nodes);
    for (const node of nodes) {
      signal.throwIfAborted();
      await this.#look(node, recorded.get(node.uuid));
    }
    const present = new Set(nodes.map(({ uuid }) => uuid));
    for (const [uuid, { version }] of recorded) if (!present.has(uuid)) await this.#forget(uuid, version);
  }

  async #recorded(): Promise<Map<Id, Recorded>> {
    const recorded = new Map<Id, Recorded>();
    for await (const { key, value, version } of walk(this.#deps.catalog.kv, seenNodesRange())) {
      recorded.set(nodeOfSeenNode(key), { seen: decodeSeenNode(value), version });
    }
    return recorded;
  }

  /** Nobody ever looked: the cluster is new, or of an earlier version, and nothing is to be done about what it is. */
  async #begin(nodes: readonly TopologyNode[]): Promise<void> {
    const { catalog } = this.#deps;
    const atomic = catalog.begin();
    for (const node of nodes) {
      const now = this.#nodeNow(node);
      atomic.check(seenNodeKey(node.uuid), null).set(seenNodeKey(node.uuid), encodeSeenNode(seenAsItIs(now)));
    }
    if (nodes.length > 0) await catalog.commit(atomic);
  }

  async #look(node: TopologyNode, recorded: Recorded | undefined): Promise<void> {
    const { catalog, recordEvent, logger } = this.#deps;
    const isAway = this.#deps.members().isLost(node.uuid) && recorded?.seen.unverified === false;
    const unverified = isAway && (await holdsUnverified(catalog.kv, node.uuid));
    const plan = planTriggers(recorded?.seen, { ...this.#nodeNow(node), unverified });
    try {
      for (const trigger of plan.jobs) await this.#queue(node, trigger);
    } catch (error) {
      if (!(error instanceof JobError)) throw error;
      // Too many wait: at the next look there may be room.
      logger.warn({ err: error, node: node.name }, "a job that should begin by itself could not be queued yet");
      return;
    }
    const bytes = encodeSeenNode(plan.seen);
    if (recorded !== undefined && encodeSeenNode(recorded.seen).equals(bytes)) return;
    const key = seenNodeKey(node.uuid);
    const atomic = catalog
      .begin()
      .check(key, recorded?.version ?? null)
      .set(key, bytes);
    if (!(await catalog.commit(atomic)).committed) return;
    for (const event of plan.events) recordEvent(event);
  }

  #nodeNow({ uuid, name, domain, homeDomain, weight, acceptsWrites, decommissionedAtMs }: TopologyNode): NodeNow {
    const { members, capacityOf } = this.#deps;
    const { topology } = members();
    const decommissioned = decommissionedAtMs !== undefined;
    return {
      name,
      domain,
      promoted: domain !== homeDomain,
      inActiveDomain: topology.domains.some((each) => each.name === domain && each.role === "active"),
      ringWeight: acceptsWrites && !decommissioned ? weight : 0,
      decommissioned,
      online: members().get(uuid)?.state === "online",
      unverified: false,
      capacity: capacityOf(uuid),
    };
  }

  async #queue(node: TopologyNode, { kind, cause }: Trigger): Promise<void> {
    const { store, rebalances, onQueued, logger } = this.#deps;
    if (kind === "REBALANCE_TO_NEW" && (!rebalances() || !(await this.#othersHoldCopies(node)))) return;
    if (kind === "MIGRATE_FROM_FAILED" && !(await this.#holdsCopies(node.uuid))) return;
    const subject = { kind: "node", key: node.uuid, name: node.name } as const;
    const { job, joined } = await store.submit({ kind, subject, cause, askedBy: ASKED_BY_TRIGGER });
    logger.info({ job: job.id, kind, node: node.name, cause, joined }, "a job is queued");
    onQueued();
  }

  async #othersHoldCopies({ uuid, domain }: TopologyNode): Promise<boolean> {
    for (const other of this.#deps.members().topology.nodes) {
      if (other.uuid === uuid || other.domain !== domain) continue;
      if (await this.#holdsCopies(other.uuid)) return true;
    }
    return false;
  }

  /** Whether a copy of a blob is on record on a node. */
  async #holdsCopies(uuid: Id): Promise<boolean> {
    return (await this.#deps.catalog.kv.list(copiesBetween(uuid, LAST_JOURNAL_KEY), { limit: 1 })).length > 0;
  }

  async #forget(uuid: Id, version: number): Promise<void> {
    const { catalog } = this.#deps;
    await catalog.commit(catalog.begin().check(seenNodeKey(uuid), version).delete(seenNodeKey(uuid)));
  }
}

/** Whether one of the first copies on a node is on record as unverified. */
async function holdsUnverified(kv: Kv, nodeUuid: Id): Promise<boolean> {
  const entries = await kv.list(copiesBetween(nodeUuid, LAST_JOURNAL_KEY), { limit: LOOK_COPIES_MAX });
  for (const entry of entries) {
    if ((await findSlot(kv, nodeUuid, entry))?.slot.state === "unverified") return true;
  }
  return false;
}
