import type { Catalog } from "../catalog/catalog.ts";
import type { BlobStore } from "../replication/blob-store.ts";
import type { OpenReads } from "../replication/reclaim/open-reads.ts";
import type { Checksums } from "../shared/checksums.ts";
import type { Clock } from "../shared/clock.ts";
import type { IdSource } from "../shared/ids.ts";
import type { KeyedMutex } from "../shared/keyed-mutex.ts";
import type { Principal } from "./api.ts";

/** What the calls of the object service work with. */
export interface ObjectContext {
  readonly catalog: Catalog;
  readonly blobs: BlobStore;
  readonly checksums: Checksums;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly openReads: OpenReads;
  /** Commits to one object queue here instead of failing each other's checks. */
  readonly commits: KeyedMutex;
  /** Who an owner's id stands for. */
  readonly principalOf: (owner: string) => Principal;
  /** Objects longer than this are cut in segments. */
  readonly segmentBytes: number;
}
