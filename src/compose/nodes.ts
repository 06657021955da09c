/**
 * From the configuration's nodes to handles: each driver behind its wrappers, opened when it can be.
 */
import { readFile } from "node:fs/promises";
import type { NodePlace } from "../admin/cluster-views.ts";
import type { NodeHandle } from "../cluster/membership.ts";
import type { CompactionConfig, Config, NodeConfig, Secrets } from "../config/config.ts";
import { LazyNode } from "../nodes/lazy-node.ts";
import type { NodeKeys } from "../nodes/s3/node-keys.ts";
import { openS3Node, type ScrapedNode } from "../nodes/s3/s3-node.ts";
import { NodeError, type StorageNode } from "../nodes/storage-node.ts";
import type { VolumeUsage } from "../nodes/volume/compactor.ts";
import type { VolumeLimits } from "../nodes/volume/limits.ts";
import { LocalDisk } from "../nodes/volume/local-disk.ts";
import { openVolumeNode } from "../nodes/volume/open-volume-node.ts";
import { readVolumeIdentity, requireVolumeIdentity } from "../nodes/volume/require-identity.ts";
import { VolumeNode } from "../nodes/volume/volume-node.ts";
import { wrapNode } from "../nodes/wrap.ts";
import { nodeLimits, S3_INFLIGHT_MAX, VOLUME_INFLIGHT_MAX } from "../nodes/wrappers/limits.ts";
import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { Random } from "../shared/random.ts";
import { type HandleFigures, handleFigures, readVolumeFigures } from "./node-figures.ts";

export interface NodeDeps {
  readonly clusterId: Id;
  readonly config: Pick<Config, "storage">;
  readonly secrets: Secrets;
  readonly metrics: Pick<Metrics, "node" | "scrapeFailed">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface LoadedNodeHandle extends NodeHandle, HandleFigures {
  /** What a volume's disk is used for; undefined for other nodes, and before it is open. */
  usage(): VolumeUsage | undefined;
  /** Calls that the node works on, and calls that wait for their turn. */
  load(): { readonly inflight: number; readonly waiting: number };
}

/** @param admitted whether the node passed admission before, so that something of ours must be on it */
export function openNodeHandle(deps: NodeDeps, config: NodeConfig, admitted: boolean): LoadedNodeHandle {
  const { clock, random, metrics, logger } = deps;
  const { read, write, metrics: scraped } = deps.config.storage;
  let volume: VolumeNode | undefined;
  let server: ScrapedNode | undefined;
  const open = async (): Promise<StorageNode> => {
    const opened = await openDriver(deps, config, admitted);
    if (opened instanceof VolumeNode) volume = opened;
    else server = opened;
    // Not before the driver is in its place.
    clock.startTimer(0, () => wrapped.figures.refresh());
    return opened;
  };
  const driver = new LazyNode(config.name, open, () => wrapped.figures.stop());
  const disk = config.kind === "volume" ? new LocalDisk(config.path, clock) : undefined;
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
    figures: {
      async read(node) {
        if (disk !== undefined) return readVolumeFigures(node, disk);
        // Past the wrappers: that metrics cannot be read says nothing of how the node stores and serves copies.
        return server === undefined ? {} : server.scrape();
      },
      jitter: () => random.float(),
      ready: () => (volume ?? server) !== undefined,
    },
  });
  wrapped.onBreakerChange(({ state, cause }) => {
    if (state === "open") logger.warn({ node: config.name, err: cause }, "a node's circuit breaker opened");
    else logger.info({ node: config.name, state }, "a node's circuit breaker changed");
  });
  const source = config.kind === "volume" ? "statfs" : "scraped";
  const scrapeFailed = (): void => metrics.scrapeFailed(config.name);
  const figures = handleFigures(wrapped, { name: config.name, source, logger, scrapeFailed });
  wrapped.figures.keepFresh();
  return {
    ...figures,
    toldFigures: () => figures.figures().figures,
    node: wrapped.node,
    available: () => wrapped.available(),
    hasRoom: () => wrapped.hasRoom(),
    load: () => wrapped.load(),
    signs: () => wrapped.signs(),
    embedded: config.kind === "volume",
    usage: () => volume?.usage(),
    onUnavailable: (listener) => wrapped.onUnavailable(() => listener()),
  };
}

/** Where operators find what is on a node. */
export function placeOf(node: NodeConfig, keys: NodeKeys): NodePlace {
  if (node.kind === "volume") {
    return { kind: "volume", endpoint: node.path, locate: (key) => ({ container: node.path, key }) };
  }
  const { endpoint, bucket } = node;
  return { kind: "s3", endpoint, locate: (key) => ({ container: bucket, key: keys.blob(key) }) };
}

/**
 * The identity document on a node of which nothing is known yet, undefined when it carries none. Changes nothing there.
 * @throws NodeError
 */
export async function readIdentityOn(deps: NodeDeps, node: NodeConfig): Promise<Uint8Array | undefined> {
  if (node.kind === "volume") return readVolumeIdentity(node.path);
  // Where the identity lies does not depend on the cluster.
  await using driver = disposable(await openDriver(deps, node, true));
  return await driver.node.readIdentity();
}

function disposable(node: StorageNode): AsyncDisposable & { readonly node: StorageNode } {
  return { node, [Symbol.asyncDispose]: () => node.close() };
}

/** @throws NodeError */
async function openDriver(deps: NodeDeps, node: NodeConfig, admitted: boolean): Promise<VolumeNode | ScrapedNode> {
  const { clusterId, clock, random, logger, secrets } = deps;
  if (node.kind === "volume") {
    const { name, path, indexPath } = node;
    // Else a disk that is not mounted would get fresh volumes in its mount point, and lose them when it is mounted.
    if (admitted) await requireVolumeIdentity(path);
    const place = indexPath === undefined ? { path } : { path, indexPath };
    const limits = compactionLimits(deps.config.storage.compaction);
    return openVolumeNode({ name, ...place, clusterId, clock, random, limits, logger: logger.child({ node: name }) });
  }
  const keys = secrets.nodes.get(node.name);
  if (keys === undefined) throw new NodeError("invalid", "the node has no keys");
  const { name, endpoint, bucket, region, caFile, ca, metricsPath: path } = node;
  const token = keys.metricsToken;
  return openS3Node({
    name,
    endpoint,
    bucket,
    region,
    accessKey: keys.accessKey,
    secretKey: keys.secretKey.reveal(),
    ...(caFile === undefined ? {} : { ca: await readCa(caFile) }),
    metrics: token === undefined ? { path } : { path, token },
    ...(ca === undefined ? {} : { ca }),
    clusterId,
    clock,
    random,
  });
}

function compactionLimits({ enabled, deadPercent, bytesPerSecond }: CompactionConfig): Partial<VolumeLimits> {
  return {
    ...(enabled ? {} : { compactionIntervalMs: 0 }),
    compactionDeadPercent: deadPercent,
    compactionBytesPerSecond: bytesPerSecond,
  };
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new NodeError("invalid", `the certificate file ${file} cannot be read`, { cause: error });
  }
}
