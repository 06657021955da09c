/** The cluster of a case as its gateways are configured, and what they may log. */
import { SessionEndedError } from "../../src/catalog/catalog.ts";
import { ContentGoneError } from "../../src/catalog/contents.ts";
import { NotDurableError } from "../../src/catalog/journal/piece-writer.ts";
import { BadPieceError } from "../../src/catalog/journal/pieces.ts";
import { CatalogError } from "../../src/catalog/kv.ts";
import type { ConfiguredTopology } from "../../src/cluster/configured-topology.ts";
import { CoordinatorError } from "../../src/coordination/coordinator.ts";
import { NodeError } from "../../src/nodes/storage-node.ts";
import type { LogFields, Logger } from "../../src/observability/logger.ts";
import { JobFailedError } from "../../src/replication/jobs/job-runner.ts";
import { LeadershipLostError } from "../../src/replication/leadership.ts";
import { BlobUnavailableError } from "../../src/replication/read/blob-reader.ts";
import { RecordTakenError } from "../../src/replication/scrub/local-record.ts";
import { SlotContentionError } from "../../src/replication/slot-ledger.ts";
import { configuredNode, domainOf, standbyDomain } from "../unit/placement/topologies.ts";
import type { CaseConfig } from "./plan.ts";

const VIRTUAL_NODES = 16;

/** Names and domains of the nodes of a case. */
export function machineNames({
  domains,
  nodesPerDomain,
  standbyNodes,
}: CaseConfig): { name: string; domain: string }[] {
  const names = Array.from({ length: domains }, (_, d) =>
    Array.from({ length: nodesPerDomain }, (_, n) => ({ name: `d${d}-${n}`, domain: `d${d}` })),
  ).flat();
  return [...names, ...Array.from({ length: standbyNodes }, (_, n) => ({ name: `standby-${n}`, domain: "standby" }))];
}

/** What a gateway is told when it starts: the nodes by the names that they have now. */
export function topologyOf(
  { domains, replicaCount, factor, quorum, degraded, cluster: { minNodes } }: CaseConfig,
  nodes: readonly { readonly name: string; readonly domain: string }[],
): ConfiguredTopology {
  return {
    domains: [
      ...Array.from({ length: domains }, (_, d) => domainOf(`d${d}`, { replicaCount, minNodes })),
      standbyDomain,
    ],
    nodes: nodes.map(configuredNode),
    virtualNodesPerNode: VIRTUAL_NODES,
    replication: { factor, quorum, domainChoice: "hash", degradedWrite: degraded },
  };
}

/** A logger that hands on what is worth a warning. */
export function watchingLogger(onLogged: (error: unknown, message: string) => void): Logger {
  const tell = (fields: LogFields, message: string): void => onLogged(fields["err"], message);
  const logger: Logger = {
    trace() {},
    debug() {},
    info() {},
    warn: tell,
    error: tell,
    fatal: tell,
    child: () => logger,
  };
  return logger;
}

const EXPECTED = [
  CatalogError,
  SessionEndedError,
  NodeError,
  SlotContentionError,
  BlobUnavailableError,
  ContentGoneError,
  NotDurableError,
  BadPieceError,
  // Two gateways scrub the same node: one of them goes on.
  RecordTakenError,
  CoordinatorError,
  JobFailedError,
  LeadershipLostError,
] as const;

/** What a gateway may run into. Anything else is a bug in it. */
export function isExpected(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isExpected);
  return EXPECTED.some((kind) => error instanceof kind);
}

export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
