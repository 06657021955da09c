/**
 * The journal over the cluster's nodes.
 */
import { Holdings } from "../catalog/journal/holdings.ts";
import type { JournalSettings } from "../catalog/journal/journal.ts";
import type { JournalCluster, JournalNode } from "../catalog/journal/journal-nodes.ts";
import { JournalReader } from "../catalog/journal/journal-reader.ts";
import { catchUp } from "../catalog/journal/replay.ts";
import type { KvStore } from "../catalog/kv.ts";
import type { Members } from "../cluster/members.ts";
import type { NodeHandle } from "../cluster/membership.ts";
import { loadTopology, type StoredTopology } from "../cluster/topology-store.ts";
import type { JournalConfig } from "../config/config.ts";
import { NodeError } from "../nodes/storage-node.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import { domainsThatAnswer } from "./seen-domains.ts";

/** In `async`: how long commits are collected. With the time that a put takes the journal stays within a second. */
const COLLECT_MS = 500;
/** How long the start waits for nodes that do not answer what they hold of the journal. */
const LIST_WAIT_MS = 10_000;

export function journalSettings(config: JournalConfig): JournalSettings {
  return { ...config, collectMs: COLLECT_MS };
}

/** The members as the journal sees them. */
export function journalCluster(members: () => Members, clusterId: () => Id): JournalCluster {
  const active = (): string[] =>
    members()
      .topology.domains.filter(({ role }) => role === "active")
      .map(({ name }) => name);
  return {
    get clusterId() {
      return clusterId();
    },
    nodes: () => journalNodes(members(), new Set(active())),
    domains: active,
    quorum: () => members().topology.replication.quorum,
    degraded: () => members().topology.replication.degradedWrite.enabled,
  };
}

function journalNodes(members: Members, active: ReadonlySet<string>): JournalNode[] {
  return members.all().map(({ spec: { uuid, name, domain }, node }) => ({
    uuid,
    name,
    domain,
    node,
    active: active.has(domain),
    // Also where it is full for blobs, or an operator wants no more of them there: deletions need the journal.
    takesWrites: () => members.servesReads(uuid),
    servesReads: () => members.servesReads(uuid),
    lost: () => members.get(uuid)?.state === "replaced",
  }));
}

/** A node whose journal is only read. */
export function readOnlyNode(node: Pick<JournalNode, "uuid" | "name" | "domain" | "node">): JournalNode {
  return { ...node, active: true, takesWrites: () => false, servesReads: () => true, lost: () => false };
}

/** Learns what a node holds of the journal that may not be open yet. @throws NodeError */
export async function listJournal(node: JournalNode, holdings: Holdings, signal?: AbortSignal): Promise<void> {
  // A node is opened by the first probe.
  await node.node.probe("reach", signal);
  await holdings.refresh(node, signal);
}

/** No node could be asked for its journal. */
export class NoJournalError extends Error {
  constructor(causes: readonly unknown[]) {
    super("no node answers what the journal says, so it is not known whether the catalog is up to date", {
      cause: causes[0],
    });
    this.name = "NoJournalError";
  }
}

/**
 * The catalog is older than its journal, as one is that was put back from a backup, and nodes that do not answer may know
 * more than those that do.
 */
export class UnseenJournalError extends Error {
  constructor(unseen: readonly { readonly name: string }[]) {
    const names = unseen.map(({ name }) => name).join(", ");
    super(
      `the catalog is behind its journal, and too few nodes answer to know by how much: start ${names}, or, where they are lost, move the catalog away and make it again with \`bulkhead catalog rebuild --accept-unseen\``,
    );
    this.name = "UnseenJournalError";
  }
}

/**
 * Brings a store up to what the journal on the nodes says, before anything is written to it: it may have been put back
 * from a backup.
 * @param handles of the nodes that passed admission before
 * @returns what the nodes hold of the journal
 * @throws NoJournalError; UnseenJournalError; JournalGapError; CatalogError
 */
export async function catchUpWithNodes(
  kv: KvStore,
  handles: ReadonlyMap<Id, NodeHandle>,
  deps: { readonly clusterId: Id; readonly clock: Clock; readonly logger: Logger },
): Promise<Holdings> {
  const holdings = new Holdings();
  const stored = await loadTopology(kv);
  const records = stored?.records;
  const nodes = [...handles].map(([uuid, { node }]): JournalNode => {
    const { name, domain } = records?.get(uuid) ?? { name: node.name, domain: "" };
    return readOnlyNode({ uuid, name, domain, node });
  });
  if (nodes.length === 0) return holdings;
  const causes = await listAll(nodes, holdings, deps);
  if (causes.length === nodes.length) throw new NoJournalError(causes);
  const reader = new JournalReader({ clusterId: deps.clusterId, holdings, nodes });
  if (stored !== undefined && reader.chain.last > (await kv.version())) requireAnswers(stored, holdings);
  const commits = await catchUp(kv, reader);
  if (commits > 0) deps.logger.warn({ commits }, "the catalog was behind its journal and was brought up to date");
  return holdings;
}

/** @throws UnseenJournalError */
function requireAnswers({ topology, records }: StoredTopology, holdings: Holdings): void {
  const active = topology.domains.filter(({ role }) => role === "active").map(({ name }) => name);
  const unseen = [...records.values()].filter(
    ({ uuid, admitted, configured }) => admitted && configured && !holdings.knows(uuid),
  );
  if (!domainsThatAnswer(active, unseen, topology.replication).enough) throw new UnseenJournalError(unseen);
}

/** Why nodes could not be listed. */
async function listAll(
  nodes: readonly JournalNode[],
  holdings: Holdings,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<unknown[]> {
  const abort = new AbortController();
  const timer = clock.startTimer(LIST_WAIT_MS, () =>
    abort.abort(new NodeError("timeout", "it did not answer in time")),
  );
  const causes: unknown[] = [];
  await Promise.all(
    nodes.map(async (node) => {
      try {
        await listJournal(node, holdings, abort.signal);
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        logger.warn({ err: error, node: node.name }, "a node does not answer what it holds of the journal");
        causes.push(error);
      }
    }),
  );
  timer.stop();
  return causes;
}
