/**
 * A storage node as a machine: it can be cut off, fall silent, lose its power or its disk. What it answered for is on
 * its disk; what it has not answered yet is there, is not, or is torn, once the power is gone.
 */
import { MemoryStore, openMemoryNode } from "../../src/nodes/memory/memory-node.ts";
import {
  type Block,
  type CopyKey,
  NodeError,
  type PutRequest,
  type StorageNode,
} from "../../src/nodes/storage-node.ts";
import { isJournals } from "../../src/replication/scrub/copies-of-node.ts";
import type { Id } from "../../src/shared/ids.ts";
import type { Chance } from "./chance.ts";
import type { Scheduler } from "./scheduler.ts";

/** From the arrival of a write to its being durable. */
/** A gateway that got no answer for so long has missed it. */
export const GAP_MS = 30_000;
const SYNC_MS_MAX = 6;
/** How long a node that acknowledges too early takes to write what it acknowledged. */
const EARLY_SYNC_MS = 4_000;

export interface WholePut extends PutRequest {
  readonly blocks: readonly Block[];
}

interface PendingWrite {
  /** What becomes of it when the power goes: nothing, or all, or a part. */
  readonly land: () => Promise<void>;
  readonly tear: () => void;
  dropped: boolean;
}

export interface MachineOptions {
  readonly name: string;
  readonly domain: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly joined?: boolean;
  /** A fault of the machine that only a mutant has: it answers before what it took is durable. */
  readonly acknowledgesEarly: boolean;
  /** Told of each copy that is about to be deleted because somebody asked for it. */
  readonly onDelete: (key: CopyKey, by: string) => void;
}

export class Machine {
  readonly domain: string;
  /** Changes when the machine is put in the place of its former self, with an empty disk, under a new name. */
  name: string;
  store = new MemoryStore();
  /** It answers that it has no room. */
  full = false;
  /** Every copy that ever became durable here, with its bytes then. */
  readonly written = new Map<CopyKey, { readonly blobId: Id; readonly bytes: Uint8Array }>();
  /** Copies that faults took away or changed after they were durable. */
  readonly destroyed = new Set<CopyKey>();
  /** Copies that had been deleted and that a fault brought back. */
  readonly resurrected = new Set<CopyKey>();
  /** What others keep in our place, never to be touched. */
  readonly foreign = new Map<CopyKey, Uint8Array>();
  /** A fault took or changed a piece of the journal here. */
  journalHurt = false;
  /** When something befell it last. */
  wellSinceMs = 0;
  /** When it was last about to answer a gateway, and since when it does so again after a gap, by the gateway's name. */
  readonly answers = new Map<string, { readonly lastMs: number; readonly againSinceMs: number }>();
  /** It joined while the cluster served: no configuration names it. */
  readonly joined: boolean;
  readonly #cuts = new Map<number, number>();
  #wiped = false;
  #clusterId: Id | undefined;
  #under: StorageNode | undefined;
  #offReasons = 0;
  #silentReasons = 0;
  /** Counts the times that whatever was under way here was lost. */
  #epoch = 0;
  readonly #pending = new Set<PendingWrite>();
  readonly #options: MachineOptions;
  #snapshot: { readonly blobs: readonly [CopyKey, { blobId: Id; bytes: Uint8Array }][] } | undefined;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.domain = options.domain;
    this.joined = options.joined === true;
    this.#befallen();
  }

  /** Before the first call. */
  belongTo(clusterId: Id): void {
    if (this.#clusterId === clusterId) return;
    this.#clusterId = clusterId;
    this.#under = openMemoryNode({ name: this.name, clusterId, store: this.store });
  }

  get under(): StorageNode {
    if (this.#under === undefined) throw new Error("a machine was called before it had a cluster");
    return this.#under;
  }

  get up(): boolean {
    return this.#offReasons === 0;
  }

  get silent(): boolean {
    return this.#silentReasons > 0;
  }

  /** Its disk is a new one, and the cluster has not taken it as its own again: it never had used the old one. */
  get wiped(): boolean {
    return this.#wiped && this.store.identity === undefined;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Nobody reaches it. What it was about to write is written all the same. */
  off(): void {
    this.#offReasons++;
    this.#epoch++;
    this.#befallen();
  }

  on(): void {
    this.#offReasons = Math.max(0, this.#offReasons - 1);
    this.#befallen();
  }

  hush(): void {
    this.#silentReasons++;
    this.#befallen();
  }

  speak(): void {
    this.#silentReasons = Math.max(0, this.#silentReasons - 1);
    this.#befallen();
  }

  /** The gateways of a place cannot reach it, until they were connected again as often. */
  cutOff(place: number): void {
    this.#cuts.set(place, (this.#cuts.get(place) ?? 0) + 1);
    this.#befallen();
  }

  reconnect(place: number): void {
    this.#cuts.set(place, Math.max(0, (this.#cuts.get(place) ?? 0) - 1));
    this.#befallen();
  }

  isReachableFrom(place: number): boolean {
    return this.up && (this.#cuts.get(place) ?? 0) === 0;
  }

  /** It is about to answer a gateway. */
  answering(gateway: string): void {
    const { nowMs } = this.#options.scheduler;
    const before = this.answers.get(gateway);
    const again = before === undefined || nowMs - before.lastMs >= GAP_MS;
    this.answers.set(gateway, { lastMs: nowMs, againSinceMs: again ? nowMs : before.againSinceMs });
  }

  #befallen(): void {
    this.wellSinceMs = this.#options.scheduler.nowMs;
  }

  /** What it has not answered for is lost, is there, or is torn. It is off until `on`. */
  losePower(): void {
    this.off();
    const { chance } = this.#options;
    for (const write of this.#pending) {
      write.dropped = true;
      const fate = chance.weighted({ lost: 2, landed: 1, torn: 1 });
      if (fate === "landed") void write.land();
      if (fate === "torn") write.tear();
    }
    this.#pending.clear();
  }

  /** Pieces of the journal here, in a fixed order. */
  get journalPieces(): CopyKey[] {
    return [...this.store.blobs.keys()].filter((key) => isJournals(key) && !this.foreign.has(key)).sort();
  }

  /** All faults are over. A wiped disk stays empty, a copy that was taken stays away. */
  recover(): void {
    this.#offReasons = 0;
    this.#silentReasons = 0;
    this.#cuts.clear();
    this.full = false;
  }

  foreignProblems(): string[] {
    return [...this.foreign].flatMap(([key, bytes]) => {
      const blob = this.store.blobs.get(key);
      const untouched = blob !== undefined && Buffer.compare(blob.bytes, bytes) === 0;
      return untouched ? [] : [`the foreign blob ${key} on ${this.name} was touched`];
    });
  }

  takeSnapshot(): void {
    this.#snapshot = { blobs: [...this.store.blobs] };
  }

  get hasSnapshot(): boolean {
    return this.#snapshot !== undefined;
  }

  /** Copies that are on the disk now and would not be after `returnToSnapshot`. */
  youngerThanSnapshot(): CopyKey[] {
    const old = new Set(this.#snapshot?.blobs.map(([key]) => key));
    return [...this.store.blobs.keys()].filter((key) => !old.has(key));
  }

  returnToSnapshot(): void {
    for (const key of this.youngerThanSnapshot()) this.destroy(key);
    for (const [key, blob] of this.#snapshot?.blobs ?? []) {
      if (this.store.blobs.has(key)) continue;
      this.store.add(key, blob);
      this.resurrected.add(key);
    }
    for (const [key, bytes] of this.foreign) this.store.add(key, { blobId: FOREIGN_BLOB, bytes });
  }

  /** A new disk: no copy, no identity. */
  wipe(): void {
    for (const key of [...this.store.blobs.keys()]) this.destroy(key);
    this.foreign.clear();
    this.#snapshot = undefined;
    this.store.identity = undefined;
    this.#wiped = true;
  }

  /** The machine gets another name, and with it a new place in the cluster. */
  rename(name: string): void {
    this.name = name;
    this.#wiped = false;
    this.#befallen();
  }

  destroy(key: CopyKey): void {
    this.store.remove(key);
    this.#hurt(key);
  }

  corrupt(key: CopyKey): void {
    const blob = this.store.blobs.get(key);
    if (blob === undefined) return;
    const bytes = blob.bytes.slice();
    const at = this.#options.chance.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#options.chance.below(8));
    this.store.add(key, { blobId: blob.blobId, bytes });
    this.#hurt(key);
  }

  /** What has become of a copy that was durable here. */
  fateOf(key: CopyKey): "right" | "rotted" | "is gone" {
    const [now, then] = [this.store.blobs.get(key), this.written.get(key)];
    if (now === undefined || then === undefined) return "is gone";
    return Buffer.compare(now.bytes, then.bytes) === 0 ? "right" : "rotted";
  }

  #hurt(key: CopyKey): void {
    this.destroyed.add(key);
    if (isJournals(key)) this.journalHurt = true;
  }

  addForeign(key: CopyKey, bytes: Uint8Array): void {
    this.foreign.set(key, bytes);
    this.store.add(key, { blobId: FOREIGN_BLOB, bytes });
  }

  /** The disk without the journal, and without what is foreign or came back by a fault. */
  get ownStore(): MemoryStore {
    const store = new MemoryStore();
    for (const [key, blob] of this.store.blobs) {
      if (!isJournals(key) && !this.foreign.has(key) && !this.resurrected.has(key)) store.add(key, blob);
    }
    return store;
  }

  /** @throws NodeError */
  async put(request: WholePut): Promise<void> {
    if (this.full) throw new NodeError("full", "the disk is full");
    const { chance, acknowledgesEarly } = this.#options;
    const { signal: _, ...stored } = request;
    const land = async (): Promise<void> => {
      // A second arrival of the same put finds its bytes there already.
      if (this.written.has(request.key) && this.store.blobs.has(request.key)) return;
      await this.under.put(stored);
      // A fault took it, and a repeated request brings it again.
      this.destroyed.delete(request.key);
      const blob = this.store.blobs.get(request.key);
      if (blob !== undefined && !this.written.has(request.key)) this.written.set(request.key, blob);
    };
    if (acknowledgesEarly) {
      await land();
      void this.#pend(EARLY_SYNC_MS, { land: async () => {}, tear: () => this.store.remove(request.key) });
      return;
    }
    const tear = (): void => {
      if (this.store.blobs.has(request.key)) return;
      const whole = Buffer.concat(request.blocks.flatMap(({ chunks }) => chunks));
      this.store.add(request.key, {
        blobId: request.header.blobId,
        bytes: whole.subarray(0, chance.below(whole.length)),
      });
    };
    await this.#pend(chance.between(0, SYNC_MS_MAX), { land, tear });
  }

  delete(key: CopyKey, by: string): Promise<void> {
    const land = async (): Promise<void> => {
      if (this.store.blobs.has(key)) this.#options.onDelete(key, by);
      await this.under.delete(key);
    };
    return this.#pend(this.#options.chance.between(0, SYNC_MS_MAX), { land, tear: () => {} });
  }

  /** Resolves when the write has landed; never when the power went before. */
  #pend(delayMs: number, what: Pick<PendingWrite, "land" | "tear">): Promise<void> {
    return new Promise((resolve, reject) => {
      const write = { ...what, dropped: false };
      this.#pending.add(write);
      this.#options.scheduler.after(delayMs, () => {
        if (write.dropped) return;
        this.#pending.delete(write);
        write.land().then(resolve, reject);
      });
    });
  }
}

const FOREIGN_BLOB: Id = "f".repeat(32);
