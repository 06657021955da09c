/**
 * The catalog owns the topology, and the configuration file says what an operator wants it to be. What the file says
 * anew, against the one that was applied last, is carried over. What was changed in the catalog since, and the file
 * leaves as it was, stays. Where both changed the same thing, and differently, a person has to decide.
 */
import { isDeepStrictEqual } from "node:util";
import type { TopologyDomain } from "../placement/topology.ts";
import type { ConfiguredNode, ConfiguredTopology } from "./configured-topology.ts";

type Setting = string | number | boolean;

/** A setting that the file changed and that something else changed, too. What is absent was taken away, or never there. */
export interface TopologyConflict {
  readonly path: string;
  readonly lastFile: Setting | undefined;
  readonly file: Setting | undefined;
  readonly current: Setting | undefined;
}

export class TopologyConflictError extends Error {
  readonly conflicts: readonly TopologyConflict[];
  constructor(conflicts: readonly TopologyConflict[]) {
    const list = conflicts.map(
      ({ path, lastFile, file, current }) =>
        `${path} was ${told(lastFile)}, is ${told(file)} in the file, and was made ${told(current)} meanwhile`,
    );
    super(`the configuration contradicts what was changed since it was applied last: ${list.join("; ")}`);
    this.name = "TopologyConflictError";
    this.conflicts = conflicts;
  }
}

/**
 * @param lastFile what the file said that was applied last
 * @param current what the catalog has
 * @throws TopologyConflictError
 */
export function mergeTopology(
  lastFile: ConfiguredTopology,
  current: ConfiguredTopology,
  file: ConfiguredTopology,
): ConfiguredTopology {
  const merge = new Merge();
  const all = { lastFile, current, file };
  const whole = merge.of("", all);
  const policy = merge.of(
    "replication",
    each(all, ({ replication }) => replication),
  );
  const degraded = merge.of(
    "replication.degradedWrite",
    each(all, ({ replication }) => replication.degradedWrite),
  );
  const merged: ConfiguredTopology = {
    domains: standbyLast(
      merge.named(
        "domains",
        each(all, ({ domains }) => domains),
        mergedDomain,
      ),
    ),
    nodes: merge.named(
      "nodes",
      each(all, ({ nodes }) => nodes),
      mergedNode,
    ),
    virtualNodesPerNode: whole("virtualNodesPerNode"),
    replication: {
      factor: policy("factor"),
      quorum: policy("quorum"),
      domainChoice: policy("domainChoice"),
      degradedWrite: {
        enabled: degraded("enabled"),
        minReplicas: degraded("minReplicas"),
        handoff: degraded("handoff"),
      },
    },
  };
  if (merge.conflicts.length > 0) throw new TopologyConflictError(merge.conflicts);
  return merged;
}

/** The same thing as each of the three has it; the last file may not have had it yet. */
interface Sides<T> {
  readonly lastFile: T | undefined;
  readonly current: T;
  readonly file: T;
}

function each<T, U>({ lastFile, current, file }: Sides<T>, of: (thing: T) => U): Sides<U> {
  return { lastFile: lastFile === undefined ? undefined : of(lastFile), current: of(current), file: of(file) };
}

/** The merged value of a setting of a thing. */
type Merged<T> = <K extends keyof T>(key: K) => T[K];

function mergedDomain(name: string, merged: Merged<TopologyDomain>): TopologyDomain {
  return {
    name,
    role: merged("role"),
    minNodes: merged("minNodes"),
    replicaCount: merged("replicaCount"),
    acceptsWrites: merged("acceptsWrites"),
  };
}

function mergedNode(name: string, merged: Merged<ConfiguredNode>): ConfiguredNode {
  const rack = merged("rack");
  return {
    name,
    domain: merged("domain"),
    weight: merged("weight"),
    acceptsWrites: merged("acceptsWrites"),
    physicalStorageId: merged("physicalStorageId"),
    host: merged("host"),
    ...(rack === undefined ? {} : { rack }),
    diskType: merged("diskType"),
  };
}

class Merge {
  readonly conflicts: TopologyConflict[] = [];

  /** The settings of one thing. */
  of<T extends object>(path: string, { lastFile, current, file }: Sides<T>): Merged<T> {
    return (key) => {
      const [was, now, wanted] = [lastFile?.[key], current[key], file[key]];
      if (wanted === was) return now;
      if (now !== was && now !== wanted) {
        const at = path === "" ? String(key) : `${path}.${String(key)}`;
        this.conflicts.push({ path: at, lastFile: setting(was), file: setting(wanted), current: setting(now) });
      }
      return wanted;
    };
  }

  /** Things that are told apart by their names: in the order of the file where it has changed, else as they stand. */
  named<T extends { readonly name: string }>(
    path: string,
    sides: Sides<readonly T[]>,
    make: (name: string, merged: Merged<T>) => T,
  ): T[] {
    const { lastFile: was, current: now, file: wanted } = each(sides, byName);
    const merged: T[] = [];
    for (const [name, ofFile] of wanted) {
      const [before, ofCatalog] = [was?.get(name), now.get(name)];
      const at = `${path}.${name}`;
      if (ofCatalog !== undefined) {
        merged.push(make(name, this.of(at, { lastFile: before, current: ofCatalog, file: ofFile })));
      } else if (before === undefined) merged.push(ofFile);
      else if (!isDeepStrictEqual(before, ofFile)) {
        // It was taken out of the cluster, and the file has other plans with it.
        this.conflicts.push({ path: at, lastFile: name, file: name, current: undefined });
      }
    }
    // What the file never knew of was added by somebody else.
    for (const [name, ofCatalog] of now) if (!wanted.has(name) && was?.has(name) !== true) merged.push(ofCatalog);
    return was !== undefined && isSameOrder(was, wanted) ? inOrderOf(now, merged) : merged;
  }
}

function byName<T extends { readonly name: string }>(things: readonly T[]): ReadonlyMap<string, T> {
  return new Map(things.map((thing) => [thing.name, thing]));
}

/** Whether a file names the same things in the same order as before, so that it says nothing of their order. */
function isSameOrder(was: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>): boolean {
  return isDeepStrictEqual([...was.keys()], [...wanted.keys()]);
}

function standbyLast(domains: readonly TopologyDomain[]): TopologyDomain[] {
  const isStandby = ({ role }: TopologyDomain): boolean => role === "standby";
  return [...domains.filter((domain) => !isStandby(domain)), ...domains.filter(isStandby)];
}

/** Each where it stood before; what is new stays at the end. */
function inOrderOf<T extends { readonly name: string }>(now: ReadonlyMap<string, unknown>, merged: readonly T[]): T[] {
  const places = new Map([...now.keys()].map((name, place) => [name, place]));
  return merged.toSorted((a, b) => (places.get(a.name) ?? now.size) - (places.get(b.name) ?? now.size));
}

function setting(value: unknown): Setting | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : undefined;
}

function told(value: Setting | undefined): string {
  return value === undefined ? "absent" : JSON.stringify(value);
}
