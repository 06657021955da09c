/** A store and its journal over memory nodes: processes come and go, nodes fail, and the store can be lost. */
import assert from "node:assert/strict";
import { lastSession } from "../../src/catalog/catalog.ts";
import { differences } from "../../src/catalog/journal/compare.ts";
import { Holdings } from "../../src/catalog/journal/holdings.ts";
import { Journal, type JournalSettings } from "../../src/catalog/journal/journal.ts";
import type { JournalCluster, JournalNode } from "../../src/catalog/journal/journal-nodes.ts";
import { JournalReader } from "../../src/catalog/journal/journal-reader.ts";
import { JournaledKv } from "../../src/catalog/journal/journaled-kv.ts";
import { catchUp, type Replayed, replay } from "../../src/catalog/journal/replay.ts";
import { sessionKey } from "../../src/catalog/keys.ts";
import type { KvStore } from "../../src/catalog/kv.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { MemoryStore, openMemoryNode } from "../../src/nodes/memory/memory-node.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { type Random, seededRandom } from "../../src/shared/random.ts";
import { ControlledNode } from "./controlled-node.ts";
import { ManualClock } from "./manual-clock.ts";

export const CLUSTER_ID = "c".repeat(32);
const NEVER = new AbortController().signal;
const SETTINGS: JournalSettings = {
  sync: true,
  collectMs: 500,
  timeoutMs: 10_000,
  snapshotIntervalMs: 86_400_000,
  snapshotBytes: 1e9,
};

export interface WorldOptions {
  /** Active domains a, b, ...; two when absent. */
  readonly domains?: number;
  readonly nodesPerDomain?: number;
  readonly quorum?: number;
  readonly degraded?: boolean;
  readonly settings?: Partial<JournalSettings>;
  readonly seed?: number;
}

export interface WorldNode {
  readonly name: string;
  readonly domain: string;
  readonly store: MemoryStore;
  readonly control: ControlledNode;
  /** Whether new pieces may go to it, when it is up. */
  writable: boolean;
  lost: boolean;
}

export class JournalWorld {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly nodes: WorldNode[] = [];
  readonly #domains: string[];
  readonly #options: WorldOptions;
  store: KvStore = memoryKv();
  #session = 0;
  #journal: Journal | undefined;

  constructor(options: WorldOptions = {}) {
    const { domains = 2, nodesPerDomain = 1, seed = 1 } = options;
    this.#options = options;
    this.random = seededRandom(seed);
    this.#domains = ["a", "b", "c", "d"].slice(0, domains);
    for (const domain of this.#domains) {
      for (let number = 0; number < nodesPerDomain; number++) {
        const store = new MemoryStore();
        const name = `${domain}${number}`;
        const control = new ControlledNode(openMemoryNode({ name, clusterId: CLUSTER_ID, store }));
        this.nodes.push({ name, domain, store, control, writable: true, lost: false });
      }
    }
  }

  get journal(): Journal {
    assert.ok(this.#journal !== undefined, "no process runs");
    return this.#journal;
  }

  node(name: string): WorldNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    assert.ok(node !== undefined, `no node ${name}`);
    return node;
  }

  cluster(): JournalCluster {
    const { quorum = this.#domains.length, degraded = true } = this.#options;
    return {
      clusterId: CLUSTER_ID,
      nodes: () => this.#journalNodes(),
      domains: () => this.#domains,
      quorum: () => quorum,
      degraded: () => degraded,
    };
  }

  #journalNodes(): JournalNode[] {
    return this.nodes.map((node) => ({
      uuid: node.name,
      name: node.name,
      domain: node.domain,
      node: node.control,
      active: true,
      takesWrites: () => node.writable && !node.control.down,
      servesReads: () => !node.control.down,
      lost: () => node.lost,
    }));
  }

  /** A process begins on the store: brought up to date, with a session of its own, the journal started. */
  async start(settings: Partial<JournalSettings> = {}): Promise<JournaledKv> {
    const reader = await this.reader();
    await catchUp(this.store, reader);
    const journal = new Journal({
      kv: this.store,
      cluster: this.cluster(),
      settings: { ...SETTINGS, ...this.#options.settings, ...settings },
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
    });
    const kv = new JournaledKv(this.store, journal);
    this.#session = (await lastSession(this.store)) + 1;
    const began = await kv
      .atomic()
      .set(sessionKey(this.#session), Buffer.from(`session ${this.#session}`))
      .commit();
    assert.ok(began.committed);
    await journal.start({ number: this.#session, version: began.version });
    this.#journal = journal;
    return kv;
  }

  /** The process ends at once; what it has under way goes on without effect on the next. */
  crash(): void {
    this.#journal = undefined;
  }

  async stop(): Promise<void> {
    await this.#journal?.[Symbol.asyncDispose]();
    this.#journal = undefined;
  }

  keep(): Promise<void> {
    return this.journal.keep(NEVER);
  }

  snapshot(): Promise<boolean> {
    return this.journal.snapshot(NEVER, true);
  }

  /** Everything that the nodes which are up hold. */
  async reader(): Promise<JournalReader> {
    const holdings = new Holdings();
    const nodes = this.#journalNodes().filter((node) => node.servesReads());
    for (const node of nodes) await holdings.refresh(node);
    return new JournalReader({ clusterId: CLUSTER_ID, holdings, nodes });
  }

  async rebuild(): Promise<Replayed> {
    return replay(await this.reader(), async () => memoryKv());
  }

  /** The store is lost, and made again from the nodes. */
  async loseStore(): Promise<Replayed> {
    this.crash();
    const replayed = await this.rebuild();
    this.store = replayed.kv;
    return replayed;
  }
}

/** Two stores hold the same. */
export async function assertSame(actual: KvStore, expected: KvStore): Promise<void> {
  for await (const { key, left, right } of differences(actual, expected)) {
    assert.deepEqual(left, right, `they differ at ${key.toString("latin1")}`);
  }
  assert.equal(await actual.version(), await expected.version());
}
