/**
 * The handles of the cluster's nodes: those that the configuration names are opened by what it says, the others by the
 * connection that the catalog keeps of them. They come and go as the topology does.
 */
import type { NodePlace } from "../admin/cluster-views.ts";
import { walk } from "../catalog/catalog.ts";
import { nodeConnectionsRange } from "../catalog/keys.ts";
import type { Kv } from "../catalog/kv.ts";
import { unpack } from "../catalog/tuple.ts";
import { type ConnectionCodec, connectionCodec, type NodeConnection } from "../cluster/node-connection.ts";
import type { NodeRecord } from "../cluster/topology-records.ts";
import type { ExternalEndpoints, NodeConfig, NodeSecrets, StorageConfig } from "../config/config.ts";
import { NodeKeys } from "../nodes/s3/node-keys.ts";
import type { Timer } from "../shared/clock.ts";
import { type Id, idFromBytes } from "../shared/ids.ts";
import { type LoadedNodeHandle, type NodeDeps, openNodeHandle, placeOf } from "./nodes.ts";

/** A request that planned with a node a moment before it left may still begin to use it. */
const LEFT_GRACE_MS = 30_000;
/** How often it is looked whether a node that left is still in use. */
const LEFT_LOOK_MS = 1_000;

export interface NodeHandlesDeps extends Omit<NodeDeps, "clusterId"> {
  readonly kv: Kv;
  readonly clusterKey: Uint8Array;
  /** Told when the capacity of a node has changed by 10 % or more. Must not throw. */
  readonly onCapacityChanged?: () => void;
}

/** What a node is opened by. */
export interface Way {
  readonly config: NodeConfig;
  readonly keys: NodeSecrets | undefined;
}

interface Opened {
  readonly handle: LoadedNodeHandle;
  readonly way: Way;
  /** Two ways of one text lead to the same place with the same keys, under one name. */
  readonly text: string;
}

export class NodeHandles implements AsyncDisposable {
  readonly #deps: NodeHandlesDeps;
  #externalEndpoints: ExternalEndpoints;
  #configured: ReadonlyMap<string, Way>;
  #clusterId: Id = "";
  readonly #opened = new Map<Id, Opened>();
  readonly #leaving = new Map<LoadedNodeHandle, Timer>();
  readonly #closing = new Set<Promise<void>>();

  constructor(deps: NodeHandlesDeps) {
    this.#deps = deps;
    this.#externalEndpoints = deps.config.storage.externalEndpoints;
    this.#configured = waysOf(deps.config.storage.nodes, deps.secrets.nodes);
  }

  /** The handles that are open, by the nodes' uuids. */
  get open(): ReadonlyMap<Id, LoadedNodeHandle> {
    return new Map([...this.#opened].map(([uuid, { handle }]) => [uuid, handle]));
  }

  /** The handle of a node that is open. */
  get(uuid: Id): LoadedNodeHandle | undefined {
    return this.#opened.get(uuid)?.handle;
  }

  /** How a node that is open is reached; the same object as long as that is the same. */
  wayTo(uuid: Id): Way | undefined {
    return this.#opened.get(uuid)?.way;
  }

  /** How the connections of a cluster's nodes are kept. */
  codec(clusterId: Id): ConnectionCodec {
    return connectionCodec(this.#deps.clusterKey, clusterId, this.#deps.random);
  }

  /** Whether the configuration says how to reach a node of this name. */
  isConfigured(name: string): boolean {
    return this.#configured.has(name);
  }

  /** What the configuration says from now on; the handles follow with the next `of`. */
  configure(
    { nodes, externalEndpoints }: Pick<StorageConfig, "nodes" | "externalEndpoints">,
    secrets: ReadonlyMap<string, NodeSecrets>,
  ): void {
    this.#externalEndpoints = externalEndpoints;
    this.#configured = waysOf(nodes, secrets);
  }

  /**
   * The handles of the nodes in use, opened where they are new. Those that left are closed after their last use.
   * @throws CatalogError; RecordError
   */
  async of(clusterId: Id, records: ReadonlyMap<Id, NodeRecord>): Promise<ReadonlyMap<Id, LoadedNodeHandle>> {
    this.#clusterId = clusterId;
    const connections = await this.#connections(clusterId);
    const opening: Promise<void>[] = [];
    for (const record of records.values()) {
      const way =
        this.#configured.get(record.name) ?? wayBy(record, connections.get(record.uuid), this.#externalEndpoints);
      if (way !== undefined && record.leaving !== true) opening.push(this.#open(record, way));
    }
    await Promise.all(opening);
    for (const [uuid, { handle, way }] of this.#opened) {
      const record = records.get(uuid);
      // Under another name it is the node that it was: the file that says so may be one that another gateway has read.
      const reachable = this.#configured.has(way.config.name) || connections.has(uuid) || record?.configured === true;
      if (record === undefined || record.leaving === true || !reachable) {
        this.#opened.delete(uuid);
        this.#leave(handle);
      }
    }
    return this.open;
  }

  /** The nodes as a configuration would name them. */
  configs(): NodeConfig[] {
    return [...this.#opened.values()].map(({ way }) => way.config);
  }

  /** Where operators find what is on a node, by its name. */
  placeOf(name: string): NodePlace {
    const found = this.configs().find((config) => config.name === name);
    if (found === undefined) return { kind: "s3", endpoint: "", locate: (key) => ({ container: "", key }) };
    return placeOf(found, new NodeKeys(this.#clusterId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [handle, timer] of this.#leaving) {
      timer.stop();
      this.#close(handle);
    }
    for (const { handle } of this.#opened.values()) this.#close(handle);
    await Promise.all(this.#closing);
  }

  async #open(record: NodeRecord, way: Way): Promise<void> {
    const text = textOf(way);
    const before = this.#opened.get(record.uuid);
    if (before?.text === text) return;
    const { config, keys } = way;
    if (before !== undefined && (before.way.config.kind === "volume" || config.kind === "volume")) {
      // A folder cannot be open twice, and closing it first would fail the requests that use it: that takes a restart.
      if (placeText(before.way) === placeText(way)) this.#opened.set(record.uuid, { ...before, way, text });
      return;
    }
    const secrets = { ...this.#deps.secrets, nodes: new Map(keys === undefined ? [] : [[config.name, keys]]) };
    const deps = { ...this.#deps, secrets, clusterId: this.#clusterId };
    const handle = openNodeHandle(deps, config, record.admitted);
    handle.onCapacityChanged(() => this.#deps.onCapacityChanged?.());
    // It takes the other one's place when it can be asked: no request is to meet a node that is not open yet.
    if (before !== undefined) await handle.node.probe("reach").catch(() => {});
    this.#opened.set(record.uuid, { handle, way, text });
    if (before !== undefined) this.#leave(before.handle);
  }

  async #connections(clusterId: Id): Promise<Map<Id, NodeConnection>> {
    const codec = this.codec(clusterId);
    const connections = new Map<Id, NodeConnection>();
    for await (const { key, value } of walk(this.#deps.kv, nodeConnectionsRange())) {
      const bytes = unpack(key)[1];
      if (!(bytes instanceof Uint8Array)) throw new TypeError("not the key of a node's connection");
      const uuid = idFromBytes(bytes);
      connections.set(uuid, codec.decode(uuid, value));
    }
    return connections;
  }

  #leave(handle: LoadedNodeHandle, waitMs = LEFT_GRACE_MS): void {
    const timer = this.#deps.clock.startTimer(waitMs, () => {
      const { inflight, waiting } = handle.load();
      if (inflight + waiting > 0) this.#leave(handle, LEFT_LOOK_MS);
      else {
        this.#leaving.delete(handle);
        this.#close(handle);
      }
    });
    this.#leaving.set(handle, timer);
  }

  #close({ node }: LoadedNodeHandle): void {
    const closing = node
      .close()
      .catch((error: unknown) => this.#deps.logger.warn({ err: error, node: node.name }, "a node could not be closed"))
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** By the nodes' names, and by those that they had before, as long as the catalog has them by these. */
function waysOf(nodes: readonly NodeConfig[], secrets: ReadonlyMap<string, NodeSecrets>): ReadonlyMap<string, Way> {
  const ways = nodes.map((config): Way => ({ config, keys: secrets.get(config.name) }));
  const named = ways.map((way) => [way.config.name, way] as const);
  const before = ways.flatMap((way) =>
    way.config.formerName === undefined ? [] : [[way.config.formerName, way] as const],
  );
  return new Map([...before, ...named]);
}

/** The way to a node by the connection that is on record. */
function wayBy(
  record: NodeRecord,
  connection: NodeConnection | undefined,
  { everywhere, ofDomains }: ExternalEndpoints,
): Way | undefined {
  if (connection === undefined) return undefined;
  const { name, domain, weight, acceptsWrites: enabled, physicalStorageId, host, diskType } = record;
  const base = { name, domain, weight, enabled, physicalStorageId, host, diskType };
  if (connection.kind === "volume") return { config: { ...base, ...connection }, keys: undefined };
  const { keys, ...reached } = connection;
  const externalEndpoint = connection.externalEndpoint ?? ofDomains.get(record.homeDomain) ?? everywhere;
  return { config: { ...base, ...reached, ...(externalEndpoint === undefined ? {} : { externalEndpoint }) }, keys };
}

/** What a handle is opened by: its name, and how the node is reached. Never shown: it holds the keys. */
function textOf(way: Way): string {
  return `${way.config.name} ${placeText(way)}`;
}

/** How a node is reached, and nothing of what the topology says of it. Never shown, either. */
function placeText({ config, keys }: Way): string {
  if (config.kind === "volume") return JSON.stringify([config.path, config.indexPath]);
  const { endpoint, bucket, region, caFile, ca, externalEndpoint, metricsPath } = config;
  const { accessKey, secretKey, metricsToken } = keys ?? {};
  const secrets = [accessKey, secretKey?.reveal(), metricsToken?.reveal()];
  return JSON.stringify([endpoint, bucket, region, caFile, ca, externalEndpoint, metricsPath, ...secrets]);
}
