/** The object service, put together over the catalog and the copies on the nodes. */
import type { Catalog } from "../catalog/catalog.ts";
import type { Members } from "../cluster/members.ts";
import type { Config } from "../config/config.ts";
import type { ObjectService, Principal } from "../objects/api.ts";
import { createObjectService } from "../objects/object-service.ts";
import type { Metrics } from "../observability/metrics.ts";
import { createBlobStore } from "../replication/blob-store.ts";
import type { OpenReads } from "../replication/reclaim/open-reads.ts";
import { loadChecksums } from "../shared/checksums.ts";
import type { Clock } from "../shared/clock.ts";
import type { IdSource } from "../shared/ids.ts";
import { KeyedMutex } from "../shared/keyed-mutex.ts";
import type { Random } from "../shared/random.ts";

type BlobStoreDeps = Parameters<typeof createBlobStore>[0];

export interface ObjectsDeps extends Pick<BlobStoreDeps, "reader" | "ledger" | "wakeRepair" | "refreshNodes"> {
  readonly config: Config;
  readonly principalOf: (owner: string) => Principal;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ids: IdSource;
  readonly discard: BlobStoreDeps["write"]["discard"];
  readonly openReads: OpenReads;
}

export async function openObjects(deps: ObjectsDeps): Promise<ObjectService> {
  const { config, catalog, members, reader, ledger, clock, random, ids, metrics, discard, openReads } = deps;
  const { write } = config.storage;
  const blobs = createBlobStore({
    write: {
      members,
      reader,
      clusterId: catalog.clusterId,
      session: catalog.session,
      clock,
      random,
      ids,
      limits: write,
      discard,
    },
    members,
    reader,
    ledger,
    clock,
    wakeRepair: deps.wakeRepair,
    refreshNodes: deps.refreshNodes,
    onDecided: (outcome) => metrics.writeDecided(outcome),
  });
  return createObjectService({
    catalog,
    blobs,
    checksums: await loadChecksums(),
    clock,
    ids,
    openReads,
    commits: new KeyedMutex(),
    principalOf: deps.principalOf,
    segmentBytes: write.segmentBytes,
  });
}
