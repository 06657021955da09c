/**
 * One process of a gateway in memory: everything that a gateway has and loses when it ends, over a store and nodes that
 * outlive it.
 */

import type { Catalog } from "../../src/catalog/catalog.ts";
import { loadTopology } from "../../src/cluster/topology-store.ts";
import type { ObjectService } from "../../src/objects/api.ts";
import { createObjectService } from "../../src/objects/object-service.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { type BlobStore, createBlobStore } from "../../src/replication/blob-store.ts";
import { createDiscarder, type Discarder } from "../../src/replication/discard.ts";
import { type CopyDamage, createBlobReader } from "../../src/replication/read/blob-reader.ts";
import { DyingSweeper } from "../../src/replication/reclaim/dying-sweeper.ts";
import { OpenReads } from "../../src/replication/reclaim/open-reads.ts";
import { OrphanCollector } from "../../src/replication/reclaim/orphan-collector.ts";
import { Repairer } from "../../src/replication/repair/repairer.ts";
import { createSlotLedger, type SlotLedger } from "../../src/replication/slot-ledger.ts";
import type { Acknowledgement, WriteLimits } from "../../src/replication/write/blob-write-types.ts";
import { loadChecksums } from "../../src/shared/checksums.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { idSource } from "../../src/shared/ids.ts";
import { KeyedMutex } from "../../src/shared/keyed-mutex.ts";
import type { Random } from "../../src/shared/random.ts";
import type { StaticMembers } from "./static-members.ts";

const READ_LIMITS = { hedgeDelayMs: 250, stallTimeoutMs: 10_000 };
export const GRACE_MS = 600_000;

export interface GatewayProcess {
  readonly catalog: Catalog;
  readonly members: StaticMembers;
  readonly service: ObjectService;
  readonly blobs: BlobStore;
  readonly ledger: SlotLedger;
  readonly repairer: Repairer;
  readonly sweeper: DyingSweeper;
  readonly orphans: OrphanCollector;
  readonly discarder: Discarder;
  readonly openReads: OpenReads;
}

/** How a write ended. */
export type WriteOutcome = Acknowledgement | "no";

export interface ProcessOptions {
  readonly catalog: Catalog;
  readonly members: StaticMembers;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WriteLimits;
  readonly segmentBytes: number;
  readonly wakeRepair: () => void;
  readonly onDecided: (outcome: WriteOutcome) => void;
  /** Told of each bad copy that a read found, with the report of it that is under way. */
  readonly onDamage: (reported: Promise<void>, damage: CopyDamage) => void;
}

export async function startProcess(options: ProcessOptions): Promise<GatewayProcess> {
  const { catalog, members, clock, random, limits, segmentBytes } = options;
  const logger = silentLogger;
  const ids = idSource(clock, random);
  const membersNow = (): StaticMembers => members;
  const discarder = createDiscarder({ catalog, members: membersNow, clock, logger });
  const ledger = createSlotLedger({ catalog, clock, ids });
  const reader = createBlobReader({
    members: membersNow,
    clock,
    random,
    limits: READ_LIMITS,
    onDamage: (damage) => options.onDamage(repairer.recordDamage(damage), damage),
  });
  const discard = discarder.discard;
  const repairer = new Repairer({
    catalog,
    members: membersNow,
    reader,
    ledger,
    discard,
    clock,
    random,
    logger,
    onRestored: () => {},
  });
  const openReads = new OpenReads(clock);
  const { clusterId, session } = catalog;
  const blobs = createBlobStore({
    write: { members: membersNow, reader, clusterId, session, clock, random, ids, limits, discard },
    members: membersNow,
    reader,
    ledger,
    clock,
    refreshNodes: async () => {
      for (const { uuid, ...spec } of (await loadTopology(catalog.kv))?.topology.nodes ?? [])
        members.setSpec(uuid, spec);
    },
    wakeRepair: options.wakeRepair,
    onDecided: options.onDecided,
  });
  const service = createObjectService({
    catalog,
    blobs,
    checksums: await loadChecksums(),
    clock,
    ids,
    openReads,
    commits: new KeyedMutex(),
    principalOf: (owner) => ({ id: owner, displayName: owner }),
    segmentBytes,
  });
  return {
    catalog,
    members,
    service,
    blobs,
    ledger,
    repairer,
    sweeper: new DyingSweeper({ catalog, members: membersNow, openReads, clock, graceMs: GRACE_MS }),
    orphans: new OrphanCollector({ catalog, members: membersNow, clock, logger }),
    discarder,
    openReads,
  };
}
