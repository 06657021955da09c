/**
 * Reads from storage nodes past the gateway, put together.
 */
import type { Catalog } from "../catalog/catalog.ts";
import type { Members } from "../cluster/members.ts";
import type { Config, Secrets } from "../config/config.ts";
import { type DirectNode, directNode } from "../nodes/s3/direct-node.ts";
import { DirectReads } from "../objects/direct-reads.ts";
import type { Metrics } from "../observability/metrics.ts";
import { DirectCopies } from "../replication/read/direct-copies.ts";
import type { Clock } from "../shared/clock.ts";
import type { Random } from "../shared/random.ts";

export interface DirectDeps {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly storage: { readonly catalog: Catalog; readonly members: () => Members };
  readonly metrics: Pick<Metrics, "readRedirected">;
  readonly clock: Clock;
  readonly random: Random;
}

export function directReads({ config, secrets, storage, metrics, clock, random }: DirectDeps): DirectReads {
  const { catalog, members } = storage;
  const nodes = directNodes(config, secrets, catalog.clusterId);
  return new DirectReads({
    catalog,
    copies: new DirectCopies({ members, directOf: (name) => nodes.get(name), clock, random }),
    clock,
    graceMs: config.storage.delete.graceMs,
    onRedirect: (outcome) => metrics.readRedirected(outcome),
  });
}

/** The S3 nodes by their names. */
export function directNodes({ storage }: Config, secrets: Secrets, clusterId: string): Map<string, DirectNode> {
  const nodes = new Map<string, DirectNode>();
  for (const node of storage.nodes) {
    const keys = secrets.nodes.get(node.name);
    if (node.kind !== "s3" || keys === undefined) continue;
    const { endpoint, externalEndpoint, bucket, region } = node;
    const external = externalEndpoint === undefined ? {} : { externalEndpoint };
    nodes.set(node.name, directNode({ clusterId, endpoint, ...external, bucket, keys: { ...keys, region } }));
  }
  return nodes;
}
