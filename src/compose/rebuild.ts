/**
 * Makes the catalog again from the journal on the nodes: for when its disk is gone. No gateway runs meanwhile.
 */
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Holdings } from "../catalog/journal/holdings.ts";
import type { JournalNode } from "../catalog/journal/journal-nodes.ts";
import { identityOf, JournalReader } from "../catalog/journal/journal-reader.ts";
import { noteLocally, type Replayed, type ReplayProgress, replay } from "../catalog/journal/replay.ts";
import { nodeConnectionKey, orphansHeldKey } from "../catalog/keys.ts";
import type { KvStore } from "../catalog/kv.ts";
import { openLmdbKv } from "../catalog/lmdb/lmdb-kv.ts";
import { readIdentityDocument, writeIdentityDocument } from "../cluster/identity.ts";
import type { NodeRecord } from "../cluster/topology-records.ts";
import { loadTopology } from "../cluster/topology-store.ts";
import type { Config, NodeConfig, Secrets } from "../config/config.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import { createLoggers } from "../observability/logger.ts";
import { createMetrics } from "../observability/metrics.ts";
import { systemClock } from "../shared/clock.ts";
import { toError } from "../shared/errors.ts";
import type { Id } from "../shared/ids.ts";
import { systemRandom } from "../shared/random.ts";
import { listJournal, readOnlyNode } from "./journal.ts";
import { loadKeys, readClusterKey } from "./key-files.ts";
import { type NodeDeps, openNodeHandle, readIdentityOn } from "./nodes.ts";
import { domainsThatAnswer } from "./seen-domains.ts";
import { claimDataFolder, StartError, startStep } from "./start-step.ts";

/** Before the cluster is known. */
const NO_CLUSTER: Id = "0".repeat(32);

export interface RebuildOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly version: string;
  /** Rebuilds although too few domains answer for it to be sure that all is seen that was acknowledged. */
  readonly acceptUnseen: boolean;
  /** The key that signs the nodes' identities is lost: takes them unsigned, and signs them with a new one. */
  readonly newClusterKey: boolean;
  readonly onProgress: (progress: ReplayProgress) => void;
}

export interface UnseenNode {
  readonly node: string;
  readonly domain: string;
  readonly reason: string;
}

export interface RebuildReport {
  readonly clusterId: Id;
  /** The last commit that the catalog has now. */
  readonly version: number;
  /** When the last segment of the journal was written, by the wall clock of the gateway that did. */
  readonly lastWrittenAtMs?: number;
  /** The commit after which the snapshot was begun that it was made from. */
  readonly snapshotBase?: number;
  /** Journal from this commit on was found and left out, as something before it is missing. */
  readonly gapUntil?: number;
  /** Nodes whose journal was not seen. */
  readonly unseen: readonly UnseenNode[];
  /** Pieces that could not be used; other copies of them were, where there were any. */
  readonly badPieces: readonly string[];
}

/** @throws StartError, which says what stands in the way; nothing was changed then */
export async function rebuildCatalog(options: RebuildOptions): Promise<RebuildReport> {
  const { config, secrets, version, newClusterKey } = options;
  const { catalog } = config;
  if (catalog.kind !== "lmdb") throw new StartError("catalog.url: only a catalog on a disk can be rebuilt");
  await using stack = new AsyncDisposableStack();
  stack.use(await claimDataFolder(resolve(config.server.dataDir)));
  if (await exists(join(catalog.path, "data.mdb"))) {
    throw new StartError(
      `${catalog.path} holds a catalog; move it away first, and keep it until the new one is proven`,
    );
  }
  const keysFolder = join(resolve(config.server.dataDir), "keys");
  const clusterKey = await startStep("the cluster's key cannot be read", () => readClusterKey(keysFolder));
  if (clusterKey === undefined && !newClusterKey) {
    throw new StartError(
      `${join(keysFolder, "cluster-key")} is not there; put it back from the backup, or rebuild with --new-cluster-key, which takes the nodes' word for whose they are`,
    );
  }
  const [clock, random] = [systemClock, systemRandom()];
  const nodeDeps: NodeDeps = {
    clusterId: NO_CLUSTER,
    config,
    secrets,
    metrics: createMetrics({ version, processMetrics: false }),
    clock,
    random,
    logger: createLoggers({ level: "silent", clock }).named("nodes"),
  };
  const found = await identify(nodeDeps, clusterKey ?? new Uint8Array(0), newClusterKey);
  const clusterId = oneCluster(found);
  const { nodes, holdings, unseen } = await listJournals({ ...nodeDeps, clusterId }, found, stack);
  if (!options.acceptUnseen) requireDomains(config, unseen);

  const badPieces: string[] = [];
  const reader = new JournalReader({
    clusterId,
    holdings,
    nodes,
    onBad: (holder, { name }, error) => badPieces.push(`${identityOf(name)} on ${holder.name}: ${error.message}`),
  });
  const draft = `${catalog.path}.rebuilding`;
  const replayed = await startStep("the catalog cannot be rebuilt", () =>
    replayInto(draft, reader, options.onProgress),
  );
  const added = await unseenAddedNodes(replayed.kv, nodes);
  unseen.push(...added);
  if (added.length > 0 && !options.acceptUnseen) await requireAddedNodes(replayed.kv, unseen, draft);
  const report = reportOf(replayed, { clusterId, unseen, badPieces });
  if (!options.acceptUnseen) await requireWhole(report, replayed.kv, draft);
  if (unseen.length > 0 || report.gapUntil !== undefined) {
    // What this catalog does not know may yet turn out to be wanted.
    await noteLocally(replayed.kv, orphansHeldKey(), Buffer.from("rebuilt without all of the journal"));
  }
  await replayed.kv.close();
  await mkdir(dirname(catalog.path), { recursive: true });
  await rename(draft, catalog.path);
  if (newClusterKey) await signAnew(nodes, { clusterId, keysFolder, secrets, region: config.server.s3.region });
  return report;
}

interface Identified {
  readonly config: NodeConfig;
  readonly identity?: { readonly clusterId: Id; readonly nodeUuid: Id };
  /** Why it cannot be used. */
  readonly reason?: string;
}

function identify(deps: NodeDeps, clusterKey: Uint8Array, unsigned: boolean): Promise<Identified[]> {
  return Promise.all(
    deps.config.storage.nodes.map(async (config): Promise<Identified> => {
      try {
        const document = await readIdentityOn(deps, config);
        if (document === undefined) return { config, reason: "it carries no identity: it is new, or was replaced" };
        const identity = readIdentityDocument(document, clusterKey);
        if (identity === undefined) return { config, reason: "its identity document cannot be read" };
        if (!identity.signed && !unsigned)
          return { config, reason: "its identity is not signed with this cluster's key" };
        return { config, identity };
      } catch (error) {
        return { config, reason: toError(error).message };
      }
    }),
  );
}

/** @throws StartError when the nodes belong to several clusters, or none can be identified */
function oneCluster(found: readonly Identified[]): Id {
  const ids = new Set(found.flatMap(({ identity }) => (identity === undefined ? [] : [identity.clusterId])));
  const [clusterId] = ids;
  const reasons = found.map(({ config, identity, reason }) => `${config.name}: ${reason ?? identity?.clusterId ?? ""}`);
  if (clusterId === undefined) throw new StartError(`no node of the cluster can be asked: ${reasons.join("; ")}`);
  if (ids.size > 1) throw new StartError(`the nodes belong to different clusters: ${reasons.join("; ")}`);
  return clusterId;
}

async function listJournals(
  deps: NodeDeps,
  found: readonly Identified[],
  stack: AsyncDisposableStack,
): Promise<{ nodes: JournalNode[]; holdings: Holdings; unseen: UnseenNode[] }> {
  const holdings = new Holdings();
  const nodes: JournalNode[] = [];
  const unseen: UnseenNode[] = [];
  for (const { config, identity, reason } of found) {
    const { name, domain } = config;
    if (identity === undefined) {
      unseen.push({ node: name, domain, reason: reason ?? "it does not answer" });
      continue;
    }
    const { node } = openNodeHandle(deps, config, true);
    stack.defer(() => node.close());
    const journalNode = readOnlyNode({ uuid: identity.nodeUuid, name, domain, node });
    try {
      await listJournal(journalNode, holdings);
      nodes.push(journalNode);
    } catch (error) {
      unseen.push({ node: name, domain, reason: toError(error).message });
    }
  }
  return { nodes, holdings, unseen };
}

/** @throws StartError */
function requireDomains({ storage }: Config, unseen: readonly UnseenNode[]): void {
  const active = storage.domains.filter(({ role }) => role === "active").map(({ name }) => name);
  const { answering, needed, enough } = domainsThatAnswer(active, unseen, storage.replication);
  if (enough) return;
  const why = storage.replication.degradedWrite.enabled
    ? "all nodes are needed to see what was acknowledged degraded"
    : `${needed} are needed to see all that was acknowledged`;
  const reasons = unseen.map(({ node, domain, reason }) => `${node} in ${domain}: ${reason}`);
  throw new StartError(
    `${answering} of ${active.length} domains answer with all their nodes, and ${why} (${reasons.join("; ")}); --accept-unseen rebuilds from what is there`,
  );
}

/**
 * What is missing or damaged on the nodes that answer may be whole on those that do not.
 * @throws StartError after it took the draft away
 */
async function requireWhole({ gapUntil, badPieces, unseen }: RebuildReport, kv: KvStore, draft: string): Promise<void> {
  if (unseen.length === 0 || (gapUntil === undefined && badPieces.length === 0)) return;
  await kv.close();
  await rm(draft, { recursive: true, force: true });
  const missing =
    gapUntil === undefined ? `pieces are damaged (${badPieces.join("; ")})` : `commits before ${gapUntil} are missing`;
  const nodes = unseen.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
  throw new StartError(
    `${missing} in the journal on the nodes that answer, and may be on those that do not (${nodes}); --accept-unseen rebuilds from what is there`,
  );
}

/** Nodes in use that the configuration does not name, as they were added by command: their journal was not asked. */
async function unseenAddedNodes(kv: KvStore, nodes: readonly JournalNode[]): Promise<UnseenNode[]> {
  const { records } = (await loadTopology(kv)) ?? { records: new Map<Id, NodeRecord>() };
  const unseen = [...records.values()].filter(
    ({ uuid, admitted, configured }) => admitted && configured && !nodes.some((node) => node.uuid === uuid),
  );
  const reason = "it was added by command; name it in the configuration to have its journal read";
  const added = await Promise.all(
    unseen.map(async ({ uuid, name, domain }) =>
      (await kv.get(nodeConnectionKey(uuid))) === undefined ? [] : [{ node: name, domain, reason }],
    ),
  );
  return added.flat();
}

/** @throws StartError after it took the draft away, where those nodes may know what others do not */
async function requireAddedNodes(kv: KvStore, unseen: readonly UnseenNode[], draft: string): Promise<void> {
  const topology = (await loadTopology(kv))?.topology;
  if (topology === undefined) return;
  const active = topology.domains.filter(({ role }) => role === "active").map(({ name }) => name);
  if (domainsThatAnswer(active, unseen, topology.replication).enough) return;
  await kv.close();
  await rm(draft, { recursive: true, force: true });
  const reasons = unseen.map(({ node, domain, reason }) => `${node} in ${domain}: ${reason}`).join("; ");
  throw new StartError(
    `too few nodes were asked to see all that was acknowledged (${reasons}); --accept-unseen rebuilds from what is there`,
  );
}

async function replayInto(
  folder: string,
  reader: JournalReader,
  onProgress: (progress: ReplayProgress) => void,
): Promise<Replayed> {
  const openEmpty = async (): Promise<KvStore> => {
    await rm(folder, { recursive: true, force: true });
    return openLmdbKv({ folder });
  };
  return replay(reader, openEmpty, { onProgress });
}

function reportOf(
  { version, lastWrittenAtMs, snapshot, gapUntil }: Replayed,
  rest: Pick<RebuildReport, "clusterId" | "unseen" | "badPieces">,
): RebuildReport {
  return {
    version,
    ...(lastWrittenAtMs === undefined ? {} : { lastWrittenAtMs }),
    ...(snapshot === undefined ? {} : { snapshotBase: snapshot.base }),
    ...(gapUntil === undefined ? {} : { gapUntil }),
    ...rest,
  };
}

/** Gives the nodes identities that are signed with the key that the next start will use. */
async function signAnew(
  nodes: readonly { readonly uuid: Id; readonly node: StorageNode }[],
  how: { readonly clusterId: Id; readonly keysFolder: string; readonly secrets: Secrets; readonly region: string },
): Promise<void> {
  const { clusterId, keysFolder, secrets, region } = how;
  const { clusterKey } = await loadKeys(keysFolder, secrets, { random: systemRandom(), region });
  for (const { uuid, node } of nodes) {
    const identity = writeIdentityDocument({ clusterId, nodeUuid: uuid }, clusterKey);
    await node.writeIdentity(identity, undefined, await node.readIdentity());
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
