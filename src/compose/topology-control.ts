/** Changes of the cluster while it serves: from what was asked for to the commit, and to the members of this process. */
import { readFile, stat } from "node:fs/promises";
import type { ReloadReport, TopologyControl } from "../admin/topology-control.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { nodeConnectionKey } from "../catalog/keys.ts";
import { addDomain, removeDomain, setDomain } from "../cluster/change-domains.ts";
import { addNode, removeNode, setConnection, setNode } from "../cluster/change-nodes.ts";
import { setPolicy } from "../cluster/change-policy.ts";
import type { LiveTopology } from "../cluster/live-topology.ts";
import type { Members } from "../cluster/members.ts";
import { TopologyConflictError } from "../cluster/merge-topology.ts";
import type { NodeConnection } from "../cluster/node-connection.ts";
import { TopologyChangeError } from "../cluster/topology-change-error.ts";
import { applyConfiguration } from "../cluster/topology-store.ts";
import type { Config, NodeConfig, NodeSecrets, Secrets } from "../config/config.ts";
import type { LoadedConfig } from "../config/load-config.ts";
import { formatProblem } from "../config/problems.ts";
import { readNode } from "../config/read-node.ts";
import { whatNeedsRestart } from "../config/what-needs-restart.ts";
import type { Logger } from "../observability/logger.ts";
import { type Clock, sleep } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import type { WorkLimitsInForce } from "./live-limits.ts";
import type { NodeHandles } from "./node-handles.ts";
import { configuredNode, configuredTopology } from "./topology.ts";

/** How long whoever adds a node waits for its first check, and how often it is looked whether it has ended. */
const ADMISSION_WAIT_MS = 10_000;
const ADMISSION_LOOK_MS = 50;
const CA_BYTES_MAX = 32_768;

export interface TopologyControlDeps {
  readonly catalog: Catalog;
  readonly handles: NodeHandles;
  readonly live: LiveTopology;
  readonly limits: WorkLimitsInForce;
  readonly members: () => Members;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
  /** The configuration that the process was started with. */
  readonly started: { readonly config: Config; readonly secrets: Secrets };
  /** Reads the configuration again; absent where it cannot be. */
  readonly reread?: (() => LoadedConfig) | undefined;
  /** Told after a node was taken out: what it held of the journal is to be elsewhere. */
  readonly onRemoved: () => void;
}

export function topologyControl(deps: TopologyControlDeps): TopologyControl {
  const { catalog, handles, live, members } = deps;
  const followed = async (change: Promise<void>, reopen = false): Promise<void> => {
    await change;
    await live.refresh(reopen);
  };
  return {
    addNode: (settings) => addReadNode(deps, settings),
    setNode: (name, settings) => followed(setNode(catalog, name, settings)),
    async setNodeKeys(name, keys) {
      const uuid = members().topology.nodes.find((node) => node.name === name)?.uuid;
      if (uuid === undefined) throw new TopologyChangeError("unknown", `there is no node ${name}`);
      const entry = await catalog.kv.get(nodeConnectionKey(uuid));
      const codec = handles.codec(catalog.clusterId);
      const connection = entry && codec.decode(uuid, entry.value);
      if (connection?.kind !== "s3") {
        throw new TopologyChangeError(
          "refused",
          `the keys of node ${name} are not kept here: change the configuration`,
        );
      }
      const { metricsToken } = connection.keys ?? {};
      const after = { ...connection, keys: { ...keys, ...(metricsToken === undefined ? {} : { metricsToken }) } };
      await followed(setConnection(catalog, uuid, codec.encode(uuid, after)), true);
    },
    async removeNode(name, how) {
      await followed(removeNode(catalog, name, how));
      deps.onRemoved();
    },
    addDomain: (name, settings) => followed(addDomain(catalog, name, settings)),
    setDomain: (name, settings) => followed(setDomain(catalog, name, settings)),
    removeDomain: (name) => followed(removeDomain(catalog, name)),
    async setPolicy(settings, expectedEpoch) {
      await followed(setPolicy({ catalog, clock: deps.clock }, settings, expectedEpoch));
      await deps.limits.refresh();
    },
    limits: () => deps.limits.inForce(),
    reload: oneAtATime(() => reload(deps)),
  };
}

/** @throws TopologyChangeError naming everything that is wrong with it; CatalogError */
async function addReadNode(deps: TopologyControlDeps, settings: Readonly<Record<string, unknown>>): Promise<void> {
  const { catalog, handles, live, members, ids } = deps;
  const { domains } = members().topology;
  const read = readNode(settings, { domains, nodes: handles.configs() });
  if ("problems" in read) throw new TopologyChangeError("refused", read.problems.join("; "));
  const { node, keys } = read;
  if (handles.isConfigured(node.name)) {
    throw new TopologyChangeError(
      "refused",
      `name ${node.name} is that of a node in the configuration of this gateway: change it there and reload, or use another name`,
    );
  }
  const connection = await connectionOf(node, keys);
  const codec = handles.codec(catalog.clusterId);
  const uuid = await addNode(
    catalog,
    { node: configuredNode(node), connection: (of) => codec.encode(of, connection) },
    ids,
  );
  await live.refresh(true);
  await checked(deps, uuid);
}

/** Waits until a node was checked for the first time, ADMISSION_WAIT_MS at most. */
async function checked({ members, clock }: TopologyControlDeps, uuid: Id): Promise<void> {
  const endMs = clock.monotonicMs() + ADMISSION_WAIT_MS;
  while (members().get(uuid)?.state === "joining" && clock.monotonicMs() < endMs) {
    await sleep(clock, ADMISSION_LOOK_MS);
  }
}

/** @throws TopologyChangeError where the file of its authority cannot be used */
async function connectionOf(node: NodeConfig, keys: NodeSecrets | undefined): Promise<NodeConnection> {
  if (node.kind === "volume") {
    const { path, indexPath } = node;
    return { kind: "volume", path, ...(indexPath === undefined ? {} : { indexPath }) };
  }
  const { endpoint, bucket, region, caFile, externalEndpoint, metricsPath } = node;
  const ca = caFile === undefined ? undefined : await readCertificates(caFile);
  return {
    kind: "s3",
    endpoint,
    bucket,
    region,
    // The text itself, as another gateway may not have the file.
    ...(ca === undefined ? {} : { ca }),
    ...(externalEndpoint === undefined ? {} : { externalEndpoint }),
    metricsPath,
    ...(keys === undefined ? {} : { keys }),
  };
}

async function readCertificates(file: string): Promise<string> {
  const refused = (why: string): TopologyChangeError =>
    new TopologyChangeError("refused", `caFile must be a file of certificates: ${file} ${why}`);
  try {
    if ((await stat(file)).size > CA_BYTES_MAX) throw refused(`has more than ${CA_BYTES_MAX} bytes`);
    return await readFile(file, "utf8");
  } catch (error) {
    throw error instanceof TopologyChangeError ? error : refused("cannot be read");
  }
}

/**
 * Reads file and environment again. Where they cannot be taken over as they are, nothing is.
 * @throws TopologyChangeError naming every problem or conflict; CatalogError
 */
async function reload(deps: TopologyControlDeps): Promise<ReloadReport> {
  const { catalog, handles, live, members, ids, logger, started, reread } = deps;
  if (reread === undefined)
    throw new TopologyChangeError("refused", "this gateway was started without a configuration");
  const loaded = reread();
  if ("problems" in loaded) {
    throw new TopologyChangeError("refused", loaded.problems.map(formatProblem).join("; "));
  }
  const { config, secrets } = loaded;
  const { epoch } = members().topology;
  try {
    await applyConfiguration(catalog, configuredTopology(config.storage), ids, deps.clock);
  } catch (error) {
    if (error instanceof TopologyConflictError) throw new TopologyChangeError("refused", error.message);
    throw error;
  }
  handles.configure(config.storage, secrets.nodes);
  deps.limits.configure(config.storage);
  await live.refresh(true);
  const report = {
    changed: members().topology.epoch !== epoch,
    needsRestart: whatNeedsRestart(started, { config, secrets }),
  };
  logger.info(report, "the configuration was read again");
  return report;
}

/** Calls that come while one runs wait for it, and for each other. */
function oneAtATime<T>(run: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(run, run);
    last = next.catch(() => {});
    return next;
  };
}
