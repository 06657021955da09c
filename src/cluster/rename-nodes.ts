/**
 * Nodes that the configuration gives another name. A node is what its uuid says, which lies on it: under a new name it is
 * the same one, with all its copies, where the file says which name it had (`formerName`). Pure.
 */
import type { Id } from "../shared/ids.ts";
import type { ConfiguredNode, ConfiguredTopology } from "./configured-topology.ts";
import { TopologyChangeError } from "./topology-change-error.ts";
import type { NodeRecord } from "./topology-records.ts";

export interface Renamed {
  readonly records: ReadonlyMap<Id, NodeRecord>;
  /** What the file said that was applied last, by the new names. */
  readonly lastFile: ConfiguredTopology | undefined;
  /** Records of nodes that never came to be: they were made for a new name before the file said whose it is. */
  readonly dropped: readonly NodeRecord[];
}

/**
 * What is on record, by the names that the configuration gives. A name that nobody has any more was carried over before.
 * @throws TopologyChangeError where both names are nodes of the cluster
 */
export function withNewNames(
  stored: ReadonlyMap<Id, NodeRecord>,
  lastFile: ConfiguredTopology | undefined,
  { formerNames = new Map() }: ConfiguredTopology,
): Renamed {
  const byName = new Map([...stored.values()].map((record) => [record.name, record]));
  const records = new Map(stored);
  const dropped: NodeRecord[] = [];
  let applied = lastFile;
  for (const [name, former] of formerNames) {
    const record = byName.get(former);
    if (record === undefined) continue;
    const taken = byName.get(name);
    if (taken?.admitted === true || taken?.leaving === true) {
      throw new TopologyChangeError(
        "refused",
        `nodes.${name}.formerName is ${former}, and the cluster has a node of either name: take formerName out, or name ${former} as what it is`,
      );
    }
    if (taken !== undefined) {
      dropped.push(taken);
      records.delete(taken.uuid);
    }
    const renamed = { ...record, name, configured: record.configured || taken !== undefined };
    records.set(record.uuid, renamed);
    if (applied !== undefined) applied = { ...applied, nodes: fileNodes(applied.nodes, renamed, former) };
  }
  return { records, lastFile: applied, dropped };
}

/** What the last file said of a node, by its new name. Where it did not name it, it said what is on record. */
function fileNodes(nodes: readonly ConfiguredNode[], renamed: NodeRecord, former: string): ConfiguredNode[] {
  const said = nodes.find(({ name }) => name === former) ?? asConfigured(renamed);
  const others = nodes.filter(({ name }) => name !== former && name !== renamed.name);
  return [...others, { ...said, name: renamed.name }];
}

/** A node's record as a file would name it. */
export function asConfigured(record: NodeRecord): ConfiguredNode {
  const { uuid: _uuid, homeDomain, admitted: _admitted, configured: _configured, ...rest } = record;
  const { decommissionedAtMs: _away, leaving: _leaving, demotedFrom: _demotedFrom, ...node } = rest;
  return { ...node, domain: homeDomain };
}
