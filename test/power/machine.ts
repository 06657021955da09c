/**
 * A whole gateway in one process over volume nodes on disks in memory: object service, replication, background work, a
 * catalog in memory, and its journal on the nodes. The catalog is lost with the process; opening makes it again.
 */

import { endOtherSessions, openCatalog } from "../../src/catalog/catalog.ts";
import { Holdings } from "../../src/catalog/journal/holdings.ts";
import { Journal } from "../../src/catalog/journal/journal.ts";
import type { JournalNode } from "../../src/catalog/journal/journal-nodes.ts";
import { JournalReader } from "../../src/catalog/journal/journal-reader.ts";
import { JournaledKv } from "../../src/catalog/journal/journaled-kv.ts";
import { replay } from "../../src/catalog/journal/replay.ts";
import type { KvStore } from "../../src/catalog/kv.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { applyConfiguration } from "../../src/cluster/topology-store.ts";
import { journalCluster } from "../../src/compose/journal.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import { openVolumeNode } from "../../src/nodes/volume/open-volume-node.ts";
import type { VolumeNode } from "../../src/nodes/volume/volume-node.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { createPlacement } from "../../src/placement/placement.ts";
import { DyingSweeper } from "../../src/replication/reclaim/dying-sweeper.ts";
import { carryOutPendingDeletes } from "../../src/replication/reclaim/pending-deletes.ts";
import { type Id, idSource } from "../../src/shared/ids.ts";
import { type Random, seededRandom } from "../../src/shared/random.ts";
import { type GatewayProcess, startProcess } from "../support/gateway-process.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ObjectClient } from "../support/object-client.ts";
import { StaticMembers } from "../support/static-members.ts";
import { quickHasher } from "../unit/placement/topologies.ts";
import { Disk } from "./disk.ts";
import {
  GRACE_MS,
  JOURNAL,
  nodeName,
  SEGMENT_BYTES,
  topologyOf,
  VOLUME_LIMITS,
  WRITE_LIMITS,
} from "./machine-settings.ts";
import type { DiskEvent, DiskImage } from "./platter.ts";
import { PoweredNode } from "./powered-node.ts";
import { seedOf } from "./seed-of.ts";

const NEVER = new AbortController().signal;
/** What has not ended after so many turns of the event loop never will. */
const TURNS_MAX = 100_000;
/** The old one of two snapshots goes after the second; a blob that dies is taken away the round after. */
const TIDY_ROUNDS = 2;
/** No segment holds so many commits at first. */
const MERGED_COMMITS_MIN = 100;
/** Time that passes in a turn. */
const TURN_MS = 5;

/** Deliberate faults of the gateway and its disks, to see that they are found. */
export interface MachineFaults {
  readonly answersBeforeSync?: boolean;
  /** Commits are answered before the journal has them. */
  readonly asyncJournal?: boolean;
  readonly quorum?: number;
  /** Stands in front of each node. */
  readonly around?: (node: StorageNode) => StorageNode;
}

export interface MachineOptions {
  /** The disk of each node. Each node is a domain of its own. */
  readonly images: readonly DiskImage[];
  /** Nodes whose disk was lost for good. */
  readonly lost?: ReadonlySet<number>;
  /** Undefined where there is no cluster yet. */
  readonly clusterId: Id | undefined;
  readonly seed: number;
  /** Most turns of the event loop that a call of a node's disk takes. */
  readonly turnsMax: (node: number) => number;
  readonly onEvent?: (node: number, event: DiskEvent) => void;
  readonly faults?: MachineFaults;
}

interface Box {
  readonly name: string;
  disk: Disk;
  powered: PoweredNode;
  volume: VolumeNode;
}

export class Machine {
  readonly clock = new ManualClock();
  readonly client = new ObjectClient(() => this.process.service);
  readonly #options: MachineOptions;
  readonly #random: Random;
  readonly #boxes: Box[] = [];
  readonly #nodes = new Map<Id, StorageNode>();
  #process: GatewayProcess | undefined;
  #journal: Journal | undefined;
  #sweeper: DyingSweeper | undefined;
  #clusterId: Id | undefined;
  #stopped = false;
  #damages = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#clusterId = options.clusterId;
  }

  get process(): GatewayProcess {
    if (this.#process === undefined) throw new Error("the machine is not open");
    return this.#process;
  }

  get journal(): Journal {
    if (this.#journal === undefined) throw new Error("the machine is not open");
    return this.#journal;
  }

  get clusterId(): Id {
    if (this.#clusterId === undefined) throw new Error("the machine is not open");
    return this.#clusterId;
  }

  /** Copies that reads found bad. */
  get damages(): number {
    return this.#damages;
  }

  /**
   * Opens the nodes, makes the catalog again from the journal, begins a session and is ready for requests.
   * @throws NothingToReplayError and what else stands in the way
   */
  async open(): Promise<void> {
    const { clock } = this;
    const random = this.#random;
    const ids = idSource(clock, random);
    if (this.#clusterId !== undefined) await this.#openNodes(this.#clusterId);
    const store = this.#clusterId === undefined ? memoryKv() : await this.#rebuild(this.#clusterId);
    const journal = new Journal({
      kv: store,
      cluster: journalCluster(
        () => this.process.members,
        () => this.clusterId,
      ),
      settings: { ...JOURNAL, sync: this.#options.faults?.asyncJournal !== true },
      clock,
      random,
      logger: silentLogger,
    });
    this.#journal = journal;
    const catalog = await openCatalog(new JournaledKv(store, journal), {
      clock,
      ids,
      host: "test",
      pid: 1,
      journaledVersion: () => journal.shippedThrough,
    });
    if (this.#clusterId === undefined) await this.#openNodes(catalog.clusterId);
    this.#clusterId = catalog.clusterId;
    await endOtherSessions(catalog);
    const configured = topologyOf(this.#options.images.length, this.#options.faults?.quorum);
    const { topology } = await applyConfiguration(catalog, configured, ids);
    for (const { uuid, name } of topology.nodes) this.#nodes.set(uuid, this.#around(this.#boxNamed(name)));
    const members = new StaticMembers({
      topology,
      placement: createPlacement(topology, quickHasher),
      nodes: this.#nodes,
    });
    this.#process = await startProcess({
      catalog,
      members,
      clock,
      random,
      limits: WRITE_LIMITS,
      segmentBytes: SEGMENT_BYTES,
      wakeRepair: () => {},
      onDecided: () => {},
      onDamage: (reported) => {
        this.#damages++;
        // The next read finds it again.
        reported.catch(() => {});
      },
    });
    for (const number of this.#options.lost ?? []) members.setState(this.#uuidOf(number), "replaced");
    const { openReads } = this.process;
    this.#sweeper = new DyingSweeper({ catalog, members: () => members, openReads, clock, graceMs: GRACE_MS });
    await journal.start({ number: catalog.session, version: catalog.sessionVersion });
  }

  /** Lets turns of the event loop and time pass until the promise is settled. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (settled) return promise;
      this.clock.advance(TURN_MS);
    }
    throw new Error("nothing came of a call");
  }

  /** The process and all its disks stop where they are. */
  powerOff(): void {
    this.#stopped = true;
    for (const { disk } of this.#boxes) disk.powerOff();
  }

  get on(): boolean {
    return !this.#stopped;
  }

  nodePowerOff(number: number): void {
    const { disk, powered } = this.#box(number);
    disk.powerOff();
    powered.powerOff();
    this.process.members.setState(this.#uuidOf(number), "degraded");
  }

  /** The node is back with what its disk kept. */
  async nodePowerOn(number: number, image: DiskImage): Promise<void> {
    const box = await this.#openNode(number, image, this.clusterId);
    this.#boxes[number] = box;
    const uuid = this.#uuidOf(number);
    this.#nodes.set(uuid, this.#around(box));
    this.process.members.setState(uuid, "online");
    this.process.repairer.nodeCameBack();
  }

  /** Fills the gaps of the journal, merges its segments, removes what a snapshot covers. */
  keepJournal(): Promise<void> {
    return this.journal.keep(NEVER);
  }

  snapshot(): Promise<boolean> {
    return this.journal.snapshot(NEVER, true);
  }

  async sweep(): Promise<void> {
    await this.#sweeper?.run(NEVER);
    const { catalog, members } = this.process;
    await carryOutPendingDeletes({ catalog, members: () => members }, NEVER);
  }

  repair(): Promise<void> {
    return this.process.repairer.run(NEVER);
  }

  collectOrphans(): Promise<void> {
    return this.process.orphans.run(NEVER);
  }

  async compact(): Promise<void> {
    for (const { volume, powered } of this.#boxes) if (powered.on) await volume.compact();
  }

  /** Volumes that compaction removed so far. */
  get removedVolumes(): number {
    return this.#boxes.reduce((sum, { volume }) => sum + volume.usage().compaction.removedVolumes, 0);
  }

  /** Copies on the nodes of segments that were merged of smaller ones. */
  get mergedSegments(): number {
    const { holdings } = this.journal;
    const names = [...this.#nodes.keys()].flatMap((uuid) => holdings.of(uuid).map(({ name }) => name));
    return names.filter((name) => name.kind === "segment" && name.through - name.from >= MERGED_COMMITS_MIN).length;
  }

  /** All background work, until there is none left. */
  async tidyUp(): Promise<void> {
    for (let round = 0; round < TIDY_ROUNDS; round++) {
      this.clock.advance(GRACE_MS + 1);
      await this.repair();
      await this.sweep();
      await this.collectOrphans();
      await this.keepJournal();
      await this.snapshot();
      await this.keepJournal();
      await this.compact();
    }
  }

  /** An orderly end: what is under way is done, the journal is brought to its end, the nodes are closed. */
  async stop(): Promise<void> {
    await this.process.discarder.idle();
    await this.journal[Symbol.asyncDispose]();
    for (const { volume } of this.#boxes) await volume.close();
  }

  async #openNodes(clusterId: Id): Promise<void> {
    for (const [number, image] of this.#options.images.entries()) {
      this.#boxes.push(await this.#openNode(number, image, clusterId));
    }
  }

  async #openNode(number: number, image: DiskImage, clusterId: Id): Promise<Box> {
    const { onEvent, turnsMax, faults, seed } = this.#options;
    const name = nodeName(number);
    const random = seededRandom(seedOf(seed, number));
    const disk = new Disk(image, {
      random,
      turnsMax: turnsMax(number),
      onEvent: (event) => onEvent?.(number, event),
      answersBeforeSync: faults?.answersBeforeSync === true,
    });
    const volume = await openVolumeNode({
      name,
      path: "/v",
      clusterId,
      clock: this.clock,
      random,
      fileSystem: disk.fileSystem(),
      openIndexStore: () => disk.indexStore(),
      limits: VOLUME_LIMITS,
    });
    return { name, disk, volume, powered: new PoweredNode(volume) };
  }

  async #rebuild(clusterId: Id): Promise<KvStore> {
    const holdings = new Holdings();
    const nodes = this.#boxes
      .filter((_, number) => this.#options.lost?.has(number) !== true)
      .map(({ name, powered }): JournalNode => {
        const answers = { active: true, takesWrites: () => false, servesReads: () => true, lost: () => false };
        return { uuid: name, name, domain: name, node: powered, ...answers };
      });
    for (const node of nodes) await holdings.refresh(node);
    const { kv } = await replay(new JournalReader({ clusterId, holdings, nodes }), async () => memoryKv());
    return kv;
  }

  #around({ powered }: Box): StorageNode {
    return this.#options.faults?.around?.(powered) ?? powered;
  }

  #box(number: number): Box {
    const box = this.#boxes[number];
    if (box === undefined) throw new Error(`there is no node ${number}`);
    return box;
  }

  #boxNamed(name: string): Box {
    const box = this.#boxes.find((candidate) => candidate.name === name);
    if (box === undefined) throw new Error(`there is no node ${name}`);
    return box;
  }

  #uuidOf(number: number): Id {
    const { name } = this.#box(number);
    const member = this.process.members.all().find(({ spec }) => spec.name === name);
    if (member === undefined) throw new Error(`node ${name} is no member`);
    return member.spec.uuid;
  }
}
