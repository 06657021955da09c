/** The sizes and times of a machine: small, so that a short run fills, seals and compacts volumes and outlives graces. */
import type { JournalSettings } from "../../src/catalog/journal/journal.ts";
import type { ConfiguredTopology } from "../../src/cluster/configured-topology.ts";
import type { VolumeLimits } from "../../src/nodes/volume/limits.ts";
import type { WriteLimits } from "../../src/replication/write/blob-write-types.ts";
import { domainOf, policyOf } from "../unit/placement/topologies.ts";

const KIB = 1024;

/** Longer objects are several blobs. */
export const SEGMENT_BYTES = 384 * KIB;
export const GRACE_MS = 300;
export const WRITE_LIMITS: WriteLimits = { bufferBytes: 128 * KIB, lagTimeoutMs: 1_000, stragglerTimeoutMs: 60_000 };
export const VOLUME_LIMITS: Partial<VolumeLimits> = {
  volumeBytes: 1024 * KIB,
  prepareStepBytes: 64 * KIB,
  preparedBytesMin: 64 * KIB,
  deleteReserveBytes: 32 * KIB,
  freeReserveBytes: 0,
  syncEveryBytes: 128 * KIB,
  checkpointEntries: 40,
  checkpointDelayMs: 200,
  openFilesMax: 3,
  compactionIntervalMs: 500,
  compactionOpenDeadBytesMin: 128 * KIB,
  compactionBytesPerSecond: 0,
};
export const JOURNAL: JournalSettings = {
  sync: true,
  collectMs: 500,
  timeoutMs: 10_000,
  // The run makes snapshots when it wants them.
  snapshotIntervalMs: 1e12,
  snapshotBytes: 1e12,
};

export function nodeName(number: number): string {
  return `d${number}-0`;
}

/** A node in each domain. */
export function topologyOf(nodes: number, quorum: number | undefined): ConfiguredTopology {
  const numbers = Array.from({ length: nodes }, (_, number) => number);
  return {
    domains: numbers.map((number) => domainOf(`d${number}`)),
    nodes: numbers.map((number) => ({
      name: nodeName(number),
      domain: `d${number}`,
      weight: 100,
      acceptsWrites: true,
      physicalStorageId: `disk ${number}`,
      host: `host ${number}`,
      diskType: "unknown",
    })),
    virtualNodesPerNode: 8,
    replication: policyOf(nodes, quorum === undefined ? {} : { quorum }),
  };
}
