/**
 * From the configuration's nodes to handles: each driver behind its wrappers, opened when it can be.
 */
import { readFile } from "node:fs/promises";
import type { NodePlace } from "../admin/cluster-views.ts";
import type { NodeHandle } from "../cluster/membership.ts";
import type { Config, NodeConfig, Secrets } from "../config/config.ts";
import { LazyNode } from "../nodes/lazy-node.ts";
import { NodeKeys } from "../nodes/s3/node-keys.ts";
import { openS3Node } from "../nodes/s3/s3-node.ts";
import { NodeError, type StorageNode } from "../nodes/storage-node.ts";
import { openVolumeNode } from "../nodes/volume/open-volume-node.ts";
import { requireVolumeIdentity } from "../nodes/volume/require-identity.ts";
import { wrapNode } from "../nodes/wrap.ts";
import { nodeLimits, S3_INFLIGHT_MAX, VOLUME_INFLIGHT_MAX } from "../nodes/wrappers/limits.ts";
import { usedShare } from "../nodes/wrappers/room-watch.ts";
import type { Logger } from "../observability/logger.ts";
import type { NodeMetrics } from "../observability/node-metrics.ts";
import { loadScore } from "../placement/score.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";

export interface NodeDeps {
  readonly clusterId: Id;
  readonly config: Pick<Config, "storage">;
  readonly secrets: Secrets;
  readonly metrics: Pick<NodeMetrics, "node">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** @param admitted whether the node passed admission before, so that something of ours must be on it */
export function openNodeHandle(deps: NodeDeps, config: NodeConfig, admitted: boolean): NodeHandle {
  const { clock, random, metrics, logger } = deps;
  const { read, write, metrics: scraped } = deps.config.storage;
  const driver = new LazyNode(config.name, () => openDriver(deps, config, admitted));
  const wrapped = wrapNode(driver, {
    clock,
    random,
    limits: nodeLimits({
      writeStallMs: write.stallTimeoutMs,
      readStallMs: read.stallTimeoutMs,
      inflightMax: config.kind === "volume" ? VOLUME_INFLIGHT_MAX : S3_INFLIGHT_MAX,
    }),
    observer: metrics.node(config.name),
    capacityCacheMs: scraped.cacheMs,
  });
  wrapped.onBreakerChange(({ state, cause }) => {
    if (state === "open") logger.warn({ node: config.name, err: cause }, "a node's circuit breaker opened");
    else logger.info({ node: config.name, state }, "a node's circuit breaker changed");
  });
  return {
    node: wrapped.node,
    available: () => wrapped.available(),
    hasRoom: () => wrapped.hasRoom(),
    onUnavailable: (listener) => wrapped.onUnavailable(() => listener()),
    loadScore() {
      const capacity = wrapped.lastCapacity();
      return loadScore({ ...wrapped.load(), diskUsage: capacity && usedShare(capacity) });
    },
  };
}

/** Where operators find what is on a node, by the node's name. */
export function nodePlaces(nodes: readonly NodeConfig[], clusterId: Id): (name: string) => NodePlace {
  const keys = new NodeKeys(clusterId);
  const places = new Map(nodes.map((node) => [node.name, placeOf(node, keys)]));
  return (name) => {
    const place = places.get(name);
    if (place === undefined) throw new TypeError("a member is not in the configuration");
    return place;
  };
}

function placeOf(node: NodeConfig, keys: NodeKeys): NodePlace {
  if (node.kind === "volume") {
    return { kind: "volume", endpoint: node.path, locate: (key) => ({ container: node.path, key }) };
  }
  const { endpoint, bucket } = node;
  return { kind: "s3", endpoint, locate: (key) => ({ container: bucket, key: keys.blob(key) }) };
}

/** @throws NodeError */
async function openDriver(deps: NodeDeps, node: NodeConfig, admitted: boolean): Promise<StorageNode> {
  const { clusterId, clock, random, logger, secrets } = deps;
  if (node.kind === "volume") {
    const { name, path, indexPath } = node;
    // Else a disk that is not mounted would get fresh volumes in its mount point, and lose them when it is mounted.
    if (admitted) await requireVolumeIdentity(path);
    const place = indexPath === undefined ? { path } : { path, indexPath };
    return openVolumeNode({ name, ...place, clusterId, clock, random, logger: logger.child({ node: name }) });
  }
  const keys = secrets.nodes.get(node.name);
  if (keys === undefined) throw new NodeError("invalid", "the node has no keys");
  const { name, endpoint, bucket, region, caFile } = node;
  return openS3Node({
    name,
    endpoint,
    bucket,
    region,
    accessKey: keys.accessKey,
    secretKey: keys.secretKey.reveal(),
    ...(caFile === undefined ? {} : { ca: await readCa(caFile) }),
    clusterId,
    clock,
    random,
  });
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new NodeError("invalid", `the certificate file ${file} cannot be read`, { cause: error });
  }
}
