/** Which node that is away is to be decommissioned. Pure: a worker carries it out (decommissioner.ts). */
import type { Id } from "../../shared/ids.ts";
import type { HealthReport } from "./reports.ts";
import { MISSED_DECOMMISSIONED, type NodeState } from "./transitions.ts";

export interface NodeView {
  readonly uuid: Id;
  readonly name: string;
  /** As the leader sees it. */
  readonly state: NodeState;
  readonly missed: number;
  /** Whether the catalog has copies on it on record. */
  readonly holdsCopies: boolean;
}

export interface DecommissionQuestion {
  readonly nodes: readonly NodeView[];
  /** Sessions of the gateways that live, the leader's among them. */
  readonly gateways: ReadonlySet<number>;
  /** Reports that are kept up, the leader's among them. */
  readonly reports: ReadonlyMap<number, HealthReport>;
}

/** Share of the nodes that may be down at most for one of them to be decommissioned. */
export const DOWN_SHARE_MAX = 1 / 3;

const DOWN: ReadonlySet<NodeState> = new Set<NodeState>([
  "unreachable",
  "decommissioned",
  "access-denied",
  "replaced",
  "refused",
]);

/**
 * The node to decommission now, `undefined` for none. Only one that the leader itself finds unreachable, that most of all
 * gateways that live have missed MISSED_DECOMMISSIONED times, while no other is being evacuated, and while no more than a
 * third of all nodes are down.
 */
export function nodeToDecommission({ nodes, gateways, reports }: DecommissionQuestion): NodeView | undefined {
  if (nodes.some(({ state, holdsCopies }) => state === "decommissioned" && holdsCopies)) return undefined;
  const down = nodes.filter(({ state }) => DOWN.has(state)).length;
  if (down > nodes.length * DOWN_SHARE_MAX) return undefined;
  return nodes.find(({ uuid, state, missed }) => {
    if (state !== "unreachable" || missed < MISSED_DECOMMISSIONED) return false;
    const agree = [...gateways].filter(
      (session) => (reports.get(session)?.missed.get(uuid) ?? 0) >= MISSED_DECOMMISSIONED,
    );
    return agree.length > gateways.size / 2;
  });
}
