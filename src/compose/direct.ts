/**
 * Reads from storage nodes past the gateway, put together.
 */
import type { Catalog } from "../catalog/catalog.ts";
import type { Members } from "../cluster/members.ts";
import type { Config } from "../config/config.ts";
import { type DirectNode, directNode } from "../nodes/s3/direct-node.ts";
import { DirectReads } from "../objects/direct-reads.ts";
import type { Metrics } from "../observability/metrics.ts";
import { DirectCopies } from "../replication/read/direct-copies.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import type { Way } from "./node-handles.ts";

export interface DirectDeps {
  readonly config: Config;
  readonly storage: {
    readonly catalog: Catalog;
    readonly members: () => Members;
    /** How a node is reached now, be it of the configuration or added by command. */
    readonly wayTo: (nodeUuid: Id) => Way | undefined;
  };
  readonly metrics: Pick<Metrics, "readRedirected">;
  readonly clock: Clock;
  readonly random: Random;
}

export function directReads({ config, storage, metrics, clock, random }: DirectDeps): DirectReads {
  const { catalog, members, wayTo } = storage;
  const known = new WeakMap<Way, DirectNode>();
  const directOf = (nodeUuid: Id): DirectNode | undefined => {
    const way = wayTo(nodeUuid);
    if (way === undefined) return undefined;
    const node = known.get(way) ?? directNodeOf(way, catalog.clusterId);
    if (node !== undefined) known.set(way, node);
    return node;
  };
  return new DirectReads({
    catalog,
    copies: new DirectCopies({ members, directOf, clock, random }),
    clock,
    graceMs: config.storage.delete.graceMs,
    onRedirect: (outcome) => metrics.readRedirected(outcome),
  });
}

/** `undefined` for a node that others do not read: a volume, and one whose keys are not known. */
export function directNodeOf({ config, keys }: Way, clusterId: Id): DirectNode | undefined {
  if (config.kind !== "s3" || keys === undefined) return undefined;
  const { endpoint, externalEndpoint, bucket, region } = config;
  const external = externalEndpoint === undefined ? {} : { externalEndpoint };
  return directNode({ clusterId, endpoint, ...external, bucket, keys: { ...keys, region } });
}
