/** What a mutant may replace of a gateway process, and what it is given to do it with. */
import type { Catalog } from "../../src/catalog/catalog.ts";
import type { Journal } from "../../src/catalog/journal/journal.ts";
import type { JournalCluster } from "../../src/catalog/journal/journal-nodes.ts";
import type { Kv, KvStore } from "../../src/catalog/kv.ts";
import type { Members } from "../../src/cluster/members.ts";
import type { ObjectService } from "../../src/objects/api.ts";
import type { ReplicationPolicy } from "../../src/placement/topology.ts";
import type { BlobStore } from "../../src/replication/blob-store.ts";
import type { Discarder } from "../../src/replication/discard.ts";
import type { Leadership } from "../../src/replication/leadership.ts";
import type { BlobReader } from "../../src/replication/read/blob-reader.ts";
import type { OpenReads } from "../../src/replication/reclaim/open-reads.ts";
import type { SlotLedger } from "../../src/replication/slot-ledger.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { Random } from "../../src/shared/random.ts";

/** What the parts of a process are made of, and a mutant may replace. */
export interface Parts {
  readonly kv: Kv;
  readonly catalog: Catalog;
  /** The catalog that background work commits by. */
  readonly leaders: Catalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: ReplicationPolicy;
  /** Of background work. */
  readonly ledger: SlotLedger;
  readonly reader: BlobReader;
  readonly discarder: Discarder;
  readonly openReads: OpenReads;
  readonly members: () => Members;
}

/** Deliberate bugs, by the part that they replace. */
export interface Mutation {
  readonly machine?: { readonly acknowledgesEarly: true };
  readonly newStore?: (store: KvStore) => KvStore;
  readonly journalCluster?: (cluster: JournalCluster) => JournalCluster;
  readonly journalSync?: boolean;
  /** The seam that shows only what the journal has. */
  readonly journaledKv?: (kv: Kv, store: KvStore) => Kv;
  readonly journaledVersion?: (journal: Journal) => number;
  /** What the scrub and the comparison of nodes find is not put on record. */
  readonly scrubForgets?: true;
  readonly kv?: (kv: Kv) => Kv;
  readonly random?: (random: Random) => Random;
  readonly catalog?: (catalog: Catalog, kv: Kv) => Catalog;
  readonly policy?: (policy: ReplicationPolicy) => ReplicationPolicy;
  readonly sweep?: (parts: Parts) => { readonly graceMs: number; readonly openReads: OpenReads };
  readonly repairReader?: (parts: Parts) => BlobReader;
  readonly repairLedger?: (parts: Parts) => SlotLedger;
  readonly orphanCatalog?: (parts: Parts) => Catalog;
  readonly orphanDelayMs?: number;
  readonly blobs?: (blobs: BlobStore, parts: Parts) => BlobStore;
  readonly service?: (service: ObjectService, parts: Parts) => ObjectService;
  /** Who leads, as the background work sees it. */
  readonly leadership?: (leadership: Leadership, catalog: Catalog) => Pick<Leadership, "catalog" | "whileLeading">;
  /** The catalog of the health of nodes. */
  readonly healthCatalog?: (catalog: Catalog) => Catalog;
  /** The nodes as standby promotion, and what else keeps the copies as many as they are to be, sees them. */
  readonly promotionMembers?: (members: () => Members) => () => Members;
  /** The parts of jobs. */
  readonly jobCatalog?: (catalog: Catalog) => Catalog;
  readonly jobMembers?: (parts: Parts) => () => Members;
  readonly jobLedger?: (parts: Parts) => SlotLedger;
  /** The catalog by which nodes are taken out. */
  readonly removalCatalog?: (catalog: Catalog) => Catalog;
}

export interface Mutant {
  readonly name: string;
  /** What the bug is, and what it breaks. */
  readonly what: string;
  /** About five times what it took, since every change of the plan shifts it. */
  readonly operationsMax: number;
  /** 1 unless another one finds it sooner. */
  readonly seed?: number;
  readonly mutation: Mutation;
}
