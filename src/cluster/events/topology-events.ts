/** What a change of the topology is told as: the one place where events are derived from two topologies. Pure. */
import { CHANGE_SHARE } from "../../nodes/capacity-change.ts";
import type { Topology, TopologyNode } from "../../placement/topology.ts";
import type { StoredTopology } from "../topology-store.ts";
import type { NewEvent } from "./event.ts";

type Shape = Pick<StoredTopology, "topology" | "records">;

/** @param before `undefined` where there was none: then everything is added */
export function topologyEvents(before: Shape | undefined, after: Shape): NewEvent[] {
  const was = before === undefined ? new Map<string, TopologyNode>() : present(before);
  const is = present(after);
  const events: NewEvent[] = [];
  for (const [uuid, node] of is) {
    const known = was.get(uuid);
    const about = { node: node.name, domain: node.domain };
    if (known === undefined) events.push({ kind: "NODE_ADDED", ...about, cause: epoch(after.topology) });
    else if (known.domain !== node.domain) {
      const home = node.domain === node.homeDomain ? "it is home again" : `its home is ${node.homeDomain}`;
      const cause = `it was in ${known.domain}; ${home}; ${epoch(after.topology)}`;
      events.push({ kind: "NODE_DOMAIN_CHANGED", ...about, cause });
    }
    if (known !== undefined && weightChanged(known.weight, node.weight)) {
      const cause = `its weight was ${known.weight} and is ${node.weight}; ${epoch(after.topology)}`;
      events.push({ kind: "NODE_CAPACITY_CHANGED", ...about, cause });
    }
    if (node.decommissionedAtMs !== undefined && known?.decommissionedAtMs === undefined) {
      const cause = `it was away for too long by the word of most gateways; ${epoch(after.topology)}`;
      events.push({ kind: "NODE_DECOMMISSIONED", ...about, cause });
    }
  }
  for (const [uuid, { name, domain }] of was) {
    if (!is.has(uuid)) events.push({ kind: "NODE_REMOVED", node: name, domain, cause: epoch(after.topology) });
  }
  return events;
}

function weightChanged(before: number, after: number): boolean {
  return before !== after && Math.abs(after - before) >= CHANGE_SHARE * before;
}

/** The nodes that the cluster consists of: those that nobody configures any more keep their records for their copies. */
function present({ topology, records }: Shape): ReadonlyMap<string, TopologyNode> {
  const configured = topology.nodes.filter(({ uuid }) => records.get(uuid)?.configured !== false);
  return new Map(configured.map((node) => [node.uuid, node]));
}

function epoch({ epoch: number }: Topology): string {
  return `topology epoch ${number}`;
}
