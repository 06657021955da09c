/**
 * One case of the simulation while it runs: machines, the store, gateway processes that come and go, clients, faults.
 * All of it on one scheduler and all choices from one seed, so that the same case has the same trace.
 */

import { SessionEndedError } from "../../src/catalog/catalog.ts";
import { NotDurableError } from "../../src/catalog/journal/piece-writer.ts";
import { orphansHeldKey } from "../../src/catalog/keys.ts";
import { CatalogError, type KvStore } from "../../src/catalog/kv.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { NoJournalError, UnseenJournalError } from "../../src/compose/journal.ts";
import { embeddedCoordinator } from "../../src/coordination/embedded/embedded-coordinator.ts";
import type { MemoryStore } from "../../src/nodes/memory/memory-node.ts";
import { BlobUnavailableError } from "../../src/replication/read/blob-reader.ts";
import type { NodeScrubReport } from "../../src/replication/scrub/scrubbing.ts";
import type { Checksums } from "../../src/shared/checksums.ts";
import type { Id } from "../../src/shared/ids.ts";
import { audit } from "../support/catalog-audit.ts";
import { keysOf } from "./attempt.ts";
import { GRACE_MS } from "./background.ts";
import { type Chance, chance, processRandom, seedOf } from "./chance.ts";
import { Clients } from "./client.ts";
import { describe, isExpected, machineNames, topologyOf, watchingLogger } from "./cluster.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { CALM_COORDINATOR, CoordinatorServer } from "./coordinator.ts";
import { type SimGateway, startGateway } from "./gateway.ts";
import { History } from "./history.ts";
import { type Cluster, mayLoseCatalog, rebuild } from "./lost-catalog.ts";
import { Machine } from "./machine.ts";
import type { Mutation } from "./mutation.ts";
import { CALM_NETWORK, Link } from "./network.ts";
import { Oracle } from "./oracle.ts";
import { type CaseConfig, type Op, STABLE, type Step, VOLATILE } from "./plan.ts";
import { Life, Scheduler } from "./scheduler.ts";
import { CALM_STORE, StoreConnection } from "./store.ts";
import { Trace } from "./trace.ts";

/** No operation on a gateway that lives takes longer. */
const OPERATION_MS_MAX = 300_000;
/** Before a start that failed is tried again. */
const START_AGAIN_MS = 200;
/** Before a rebuild of the catalog for which too few nodes answered is tried again. */
const REBUILD_AGAIN_MS = 500;

export interface WorldOptions {
  readonly config: CaseConfig;
  readonly mutation: Mutation;
  readonly checksums: Checksums;
  readonly keepTrace: boolean;
}

/** A gateway's place: who serves there now. Several only while one is taken for dead and is not. */
interface Place {
  serving: SimGateway[];
  /** Lives of processes that start. */
  starting: Set<Life>;
}

export class World {
  readonly config: CaseConfig;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  /** The disk of the catalog. */
  store: KvStore;
  /** The catalog's disk is gone and there is no new one yet. */
  catalogLost = false;
  readonly machines: Machine[];
  readonly history: History;
  readonly clients: Clients;
  readonly oracle: Oracle;
  readonly watch: ClusterWatch;
  readonly coordinator: CoordinatorServer;
  readonly violations: string[] = [];
  /** Choices of the faults. */
  readonly chance: Chance;
  /** Sessions that were ended while their process lived, or others collected already: what they leave late stays. */
  readonly leakySessions = new Set<number>();
  /** No faults any more: network and store are calm, and what faults had planned for later does not happen. */
  calm = false;
  operations = 0;
  readonly #options: WorldOptions;
  readonly #places: Place[];
  readonly #died: { readonly name: string; readonly servesSinceMs: number; readonly diedMs: number }[] = [];
  readonly #uuids = new Map<string, Id>();
  readonly #machinesByUuid = new Map<Id, Machine>();
  readonly #deletions = new Map<string, { readonly atMs: number; readonly by: string }>();
  readonly #abandoned = new Set<() => void>();
  readonly #diskChance: Chance;
  readonly #networkChance: Chance;
  readonly #storeChance: Chance;
  readonly #queues: (() => Promise<void>)[][];
  readonly #busy: boolean[];
  #open = 0;
  #processes = 0;
  #clusterId: Id | undefined;
  /** The last commit that a gateway said to be durable in the journal. */
  #shippedThrough = 0;
  #keepCatalogUntil = 1;

  constructor(options: WorldOptions) {
    const { config, mutation } = options;
    this.store = (mutation.newStore ?? asIs)(memoryKv());
    this.#options = options;
    this.config = config;
    this.trace = new Trace(this.scheduler, options.keepTrace);
    this.chance = chance(seedOf(config.seed, 1));
    this.#networkChance = chance(seedOf(config.seed, 2));
    this.#storeChance = chance(seedOf(config.seed, 3));
    this.#diskChance = chance(seedOf(config.seed, 4));
    const onViolation = (what: string): void => this.violation(what);
    this.history = new History(onViolation);
    this.machines = machineNames(config).map((each) => this.#newMachine({ ...each, joined: false }));
    this.coordinator = new CoordinatorServer({
      scheduler: this.scheduler,
      chance: chance(seedOf(config.seed, 5)),
      trace: this.trace,
      conditions: () => (this.calm ? CALM_COORDINATOR : config.cluster.coordinator),
      clockRate: config.cluster.coordinatorRate,
    });
    this.watch = new ClusterWatch({
      config,
      nowMs: () => this.scheduler.nowMs,
      machines: () => this.machines,
      serving: () => this.serving,
      died: () => this.#died,
      onViolation,
      onRemoved: (record, by) => void this.oracle.removed(record, by),
      onDrained: (nodes, by) => void this.oracle.drained(nodes, by),
    });
    this.oracle = new Oracle({
      store: () => this.store,
      config,
      nowMs: () => this.scheduler.nowMs,
      shippedThrough: () => this.#journaledThrough(),
      machineOf: (uuid) => this.#machinesByUuid.get(uuid),
      machines: () => this.machines,
      uuidOf: (machine) => this.uuidOf(machine),
      domainOf: (uuid, machine) => this.watch.domainOf(uuid, machine),
      quorum: () => this.watch.quorum(),
      onViolation,
    });
    this.clients = new Clients({
      scheduler: this.scheduler,
      history: this.history,
      large: config.large,
      onViolation,
      onUnreadable: (error, beganAtMs) => this.#checkUnreadable(error, beganAtMs),
    });
    const places = config.sessions === "together" ? config.gateways : 1;
    this.#places = Array.from({ length: places }, () => ({ serving: [], starting: new Set<Life>() }));
    this.#queues = Array.from({ length: config.clients }, () => []);
    this.#busy = Array.from({ length: config.clients }, () => false);
  }

  #newMachine(of: { readonly name: string; readonly domain: string; readonly joined: boolean }): Machine {
    const machine: Machine = new Machine({
      ...of,
      scheduler: this.scheduler,
      chance: this.#diskChance,
      acknowledgesEarly: this.#options.mutation.machine?.acknowledgesEarly === true,
      onDelete: (key, by) => {
        this.#deletions.set(`${this.uuidOf(machine) ?? ""}/${key}`, { atMs: this.scheduler.nowMs, by });
        void this.oracle.deleting(machine, key, by);
      },
    });
    return machine;
  }

  /** A machine that an operator is about to tell the cluster of. */
  addMachine(domain: string): Machine {
    const machine = this.#newMachine({ name: `${domain}-new-${this.machines.length}`, domain, joined: true });
    this.machines.push(machine);
    return machine;
  }

  violation(what: string): void {
    this.trace.add(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  uuidOf(machine: Machine): Id | undefined {
    return this.#uuids.get(machine.name);
  }

  machineOf(uuid: Id): Machine | undefined {
    return this.#machinesByUuid.get(uuid);
  }

  /** Gateways that serve now. */
  get serving(): SimGateway[] {
    return this.#places.flatMap(({ serving }) => serving);
  }

  get placeCount(): number {
    return this.#places.length;
  }

  /** Starts the gateways and makes the buckets. */
  async open(): Promise<void> {
    this.launchAll();
    await this.until(() => this.#places.every(({ serving }) => serving.length > 0), "the gateways start");
    const calm = this.calm;
    this.calm = true;
    for (const bucket of [STABLE, VOLATILE]) await this.ask({ op: "create bucket", bucket });
    this.calm = calm;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    await this.scheduler.run(() => this.violations.length > 0, this.scheduler.nowMs + ms);
  }

  /** Lets time pass until something is so. */
  async until(done: () => boolean, what: string): Promise<void> {
    const untilMs = this.scheduler.nowMs + OPERATION_MS_MAX;
    const ended = await this.scheduler.run(() => this.violations.length > 0 || done(), untilMs);
    if (!ended) this.violation(`it takes more than ${OPERATION_MS_MAX} ms until ${what}`);
  }

  /** Waits for the clients to have done all that they were given. */
  clientsDone(): Promise<void> {
    return this.until(() => this.#open === 0, "the clients get their answers");
  }

  /** Does one operation on any gateway and waits for its answer. */
  async ask(op: Op): Promise<string> {
    const [gateway] = this.serving;
    if (gateway === undefined) return "nobody serves";
    let outcome: string | undefined;
    void this.#perform(op, gateway).then((result) => {
      outcome = result;
    });
    await this.until(() => outcome !== undefined, `${op.op} is answered`);
    return outcome ?? "";
  }

  /** Gives a client an operation, to be done after those that it has. */
  enqueue(step: Op & { readonly client: number; readonly gateway: number }): void {
    const queue = this.#queues[step.client % this.#queues.length];
    this.#open++;
    queue?.push(async () => {
      const serving = this.serving;
      const gateway = serving[step.gateway % Math.max(1, serving.length)];
      if (gateway === undefined) this.trace.add(`client ${step.client}: ${step.op}: nobody serves`);
      else await this.#perform(step, gateway);
      this.#open--;
    });
    void this.#drain(step.client % this.#queues.length);
  }

  async #drain(client: number): Promise<void> {
    if (this.#busy[client] === true) return;
    this.#busy[client] = true;
    for (let next = this.#queues[client]?.shift(); next !== undefined; next = this.#queues[client]?.shift()) {
      await next();
    }
    this.#busy[client] = false;
  }

  async #perform(op: Op, gateway: SimGateway): Promise<string> {
    const gone = Promise.withResolvers<"gone">();
    gateway.life.onEnd(() => gone.resolve("gone"));
    this.operations++;
    const number = this.operations;
    this.trace.add(`#${number} on ${gateway.name}: ${textOf(op)}`);
    const outcome = await this.clients.perform(op, gateway.service, gone.promise);
    this.trace.add(`#${number} ${outcome}`);
    return outcome;
  }

  // --- Processes ------------------------------------------------------------------------------------------------

  /** Starts a process in every place: the first ends all sessions that there are, and the others follow it. */
  launchAll(): void {
    this.launch(0, "others", () => {
      for (let place = 1; place < this.#places.length; place++) if (!this.isAlive(place)) this.launch(place, []);
    });
  }

  /** Starts a process in a place; its session begins when it is up. */
  launch(place: number, ends: "others" | readonly number[], whenUp: () => void = () => {}): void {
    const at = this.#places[place];
    if (at === undefined || this.catalogLost) return;
    const name = `gateway ${place}.${++this.#processes}`;
    const life = new Life();
    at.starting.add(life);
    const { config, mutation, checksums } = this.#options;
    const seed = seedOf(config.seed, 1_000 + this.#processes);
    const skewMs = chance(seed).between(0, config.skewMsMax);
    this.trace.add(`${name} starts`);
    const process = { life, name, place };
    const { scheduler, store } = this;
    startGateway({
      name,
      life,
      config,
      scheduler,
      random: processRandom(seed),
      kv: new StoreConnection(
        store,
        {
          scheduler,
          chance: this.#storeChance,
          conditions: () => (this.calm ? CALM_STORE : config.store),
          lost: () => this.store !== store || this.catalogLost,
          onCommit: (by, request, version) => {
            this.trace.add(`${by} commits ${request.mutations.length} writes`);
            this.watch.committed(by, request);
            this.oracle.committed(by, request, version);
            if (config.journal === "off") store.forgetChanges(Number.MAX_SAFE_INTEGER);
          },
        },
        process,
      ),
      topology: topologyOf(
        config,
        this.machines.filter(({ joined }) => !joined),
      ),
      driver: (nodeName, clusterId) => {
        const machine = this.machines.find((each) => each.name === nodeName);
        if (machine === undefined) return undefined;
        machine.belongTo(clusterId);
        this.#clusterId = clusterId;
        const net = {
          scheduler,
          chance: this.#networkChance,
          trace: this.trace,
          conditions: () => (this.calm ? CALM_NETWORK : config.network),
          abandoned: this.#abandoned,
        };
        return new Link(net, machine, process);
      },
      coordinator: (clock) =>
        // One machine needs no other to know who leads.
        config.sessions === "in turn" ? embeddedCoordinator(clock) : this.coordinator.connect({ ...process, clock }),
      checksums,
      logger: watchingLogger((error, message) => {
        this.trace.add(`${name} logs: ${message}${error instanceof Error ? `: ${error.message}` : ""}`);
        if (error !== undefined && !isExpected(error)) this.violation(`${name} logs "${message}": ${describe(error)}`);
      }),
      skewMs,
      ends,
      mutation,
      onTopology: (uuids) => {
        for (const [nodeName, uuid] of uuids) {
          const machine = this.machines.find((each) => each.name === nodeName);
          this.#uuids.set(nodeName, uuid);
          if (machine !== undefined) this.#machinesByUuid.set(uuid, machine);
        }
      },
    }).then(
      (gateway) => {
        at.starting.delete(life);
        if (life.ended) return;
        this.trace.add(`${name} serves in session ${gateway.session}`);
        // Who serves beside one that ended all other sessions may leave copies behind for good.
        if (ends === "others" && at.serving.length > 0) {
          for (const { session } of [...at.serving, gateway]) this.leakySessions.add(session);
        }
        at.serving.push(gateway);
        whenUp();
      },
      (error: unknown) => {
        at.starting.delete(life);
        if (life.ended) return;
        life.end();
        this.trace.add(`${name} cannot start: ${String(error)}`);
        if (isExpectedAtStart(error)) {
          scheduler.after(START_AGAIN_MS, () => {
            if (!this.isAlive(place)) this.launch(place, ends, whenUp);
          });
        } else {
          this.violation(`${name} could not start: ${String(error)}`);
        }
      },
    );
  }

  /** Ends everything, after which nothing of the world is kept. */
  close(): void {
    for (const place of this.#places.keys()) this.kill(place);
    for (const end of this.#abandoned) end();
    this.#abandoned.clear();
  }

  /** Ends the processes of a place at once. @returns their sessions */
  kill(place: number): number[] {
    const at = this.#places[place];
    if (at === undefined) return [];
    const sessions = at.serving.map(({ session }) => session);
    for (const gateway of at.serving) {
      this.#remember(gateway);
      this.#shippedThrough = Math.max(this.#shippedThrough, gateway.journal?.shippedThrough ?? 0);
      this.trace.add(`${gateway.name} dies`);
      gateway.life.end();
    }
    for (const life of at.starting) life.end();
    at.serving = [];
    at.starting.clear();
    return sessions;
  }

  #remember({ name, servesSinceMs }: SimGateway): void {
    this.#died.push({ name, servesSinceMs, diedMs: this.scheduler.nowMs });
  }

  /** Ends one process. */
  killProcess(gateway: SimGateway): void {
    if (gateway.life.ended) return;
    this.trace.add(`${gateway.name} dies`);
    this.#remember(gateway);
    gateway.life.end();
    for (const at of this.#places) at.serving = at.serving.filter((each) => each !== gateway);
  }

  servingAt(place: number): readonly SimGateway[] {
    return this.#places[place]?.serving ?? [];
  }

  /** Whether something serves or starts in a place. */
  isAlive(place: number): boolean {
    const at = this.#places[place];
    return at !== undefined && (at.serving.length > 0 || at.starting.size > 0);
  }

  // --- The catalog's disk ---------------------------------------------------------------------------------------

  /** Whether the journal promises that the catalog can be made again without losing anything now. */
  async mayLoseCatalog(): Promise<boolean> {
    const { journal } = this.config;
    const cluster = this.#cluster();
    if (journal === "off" || this.catalogLost || cluster === undefined) return false;
    const shippedThrough = this.#journaledThrough();
    if (shippedThrough < this.#keepCatalogUntil) return false;
    // What an asynchronous journal does not have yet is promised to nobody.
    if (journal === "async" && shippedThrough < (await this.store.version())) return false;
    return mayLoseCatalog(cluster, shippedThrough);
  }

  /** The last commit that the journal was said to have; beyond all of them without a journal. */
  #journaledThrough(): number {
    if (this.config.journal === "off") return Number.POSITIVE_INFINITY;
    for (const { journal } of this.serving) {
      this.#shippedThrough = Math.max(this.#shippedThrough, journal?.shippedThrough ?? 0);
    }
    return this.#shippedThrough;
  }

  /** The catalog is not lost before the journal has all that was committed by now. */
  async keepCatalogForNow(): Promise<void> {
    this.#keepCatalogUntil = await this.store.version();
  }

  loseCatalog(): void {
    this.trace.add("the catalog's disk is lost");
    this.catalogLost = true;
  }

  /** Makes the catalog again as soon as enough nodes can be asked, and starts a gateway on it. */
  rebuildCatalog(): void {
    void this.tryToRebuild().then(
      (done) => {
        if (done) this.launchAll();
        else if (this.catalogLost) this.scheduler.after(REBUILD_AGAIN_MS, () => this.rebuildCatalog());
      },
      (error: unknown) => this.violation(`the catalog could not be made again: ${describe(error)}`),
    );
  }

  /** Whether a lost catalog was made again. */
  async tryToRebuild(): Promise<boolean> {
    const cluster = this.#cluster();
    if (!this.catalogLost || cluster === undefined) return false;
    const lost = this.store;
    const rebuilt = await rebuild(cluster, { store: lost, shippedThrough: this.#shippedThrough });
    if (rebuilt === undefined || !this.catalogLost) return false;
    const { made, version, different } = rebuilt;
    this.store = made;
    this.catalogLost = false;
    this.trace.add(`the catalog is made again, up to commit ${version} of ${await lost.version()}`);
    if (different !== undefined) this.violation(different);
    return true;
  }

  /** An operator takes what was made from a part of the journal only for all that there is. */
  async acceptRebuild(): Promise<void> {
    if ((await this.store.get(orphansHeldKey())) === undefined) return;
    await this.store.atomic().delete(orphansHeldKey()).commit();
  }

  #cluster(): Cluster | undefined {
    const { machines, config } = this;
    if (this.#clusterId === undefined) return undefined;
    const newStore = this.#options.mutation.newStore ?? asIs;
    return { config, machines, clusterId: this.#clusterId, uuidOf: (machine) => this.uuidOf(machine), newStore };
  }

  // --- Reads that found nothing ---------------------------------------------------------------------------------

  /** A read that found no copy must not have had them taken away under it. */
  #checkUnreadable(error: unknown, beganAtMs: number): void {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!(cause instanceof BlobUnavailableError)) return;
    for (const { nodeUuid, error: failure } of cause.copies) {
      if (failure?.kind !== "not-found") continue;
      const machine = this.#machinesByUuid.get(nodeUuid);
      for (const [key, copy] of machine?.written ?? []) {
        if (copy.blobId !== cause.blobId) continue;
        const deletion = this.#deletions.get(`${nodeUuid}/${key}`);
        if (deletion === undefined || deletion.atMs < beganAtMs || deletion.atMs > beganAtMs + GRACE_MS) continue;
        this.violation(
          `${deletion.by} deleted copy ${key} ${Math.round(deletion.atMs - beganAtMs)} ms into a read of it`,
        );
      }
    }
  }

  // --- Checks ---------------------------------------------------------------------------------------------------

  /** That the catalog is at one with itself, which it is after every commit. */
  async checkCatalog(): Promise<void> {
    for (const problem of (await this.audit()).problems) {
      if (!/is not on its node|holds another blob/.test(problem)) this.violation(`catalog: ${problem}`);
    }
  }

  audit(): ReturnType<typeof audit> {
    const nodes = new Map(
      this.machines.flatMap((machine) => {
        const { name, ownStore: store } = machine;
        const uuid = this.uuidOf(machine);
        return uuid === undefined ? [] : [[name, { name, uuid, store }] as const];
      }),
    );
    const nodeOf = (uuid: Id): { domain: string; store: MemoryStore } => {
      const machine = this.#machinesByUuid.get(uuid);
      if (machine === undefined) throw new Error("there is no such node");
      return { domain: machine.domain, store: machine.store };
    };
    return audit({ kv: this.store, nodes, nodeOf });
  }

  /** Whether a node's uuid is one that the cluster still uses. */
  isConfigured(uuid: Id): boolean {
    const machine = this.#machinesByUuid.get(uuid);
    return machine !== undefined && this.uuidOf(machine) === uuid && this.watch.get(uuid) !== undefined;
  }

  /** Whether a copy, as the audit names it, may have been left for good: see `leakySessions`. */
  isLeaky(orphan: string): boolean {
    const [, key = ""] = orphan.split(" ");
    return this.leakySessions.has(Number.parseInt(key.slice(0, 8), 16));
  }

  /** Has a gateway do something, again and again until it is done. */
  async insist(what: string, task: (gateway: SimGateway) => Promise<unknown>): Promise<void> {
    let done = false;
    const attempt = (): void => {
      const [gateway] = this.serving;
      const again = (): void => void this.scheduler.after(START_AGAIN_MS, attempt);
      if (gateway === undefined) return again();
      task(gateway).then(() => {
        done = true;
      }, again);
    };
    attempt();
    await this.until(() => done, what);
  }

  /** How far the scrubs of the nodes are. */
  async scrubs(): Promise<readonly NodeScrubReport[]> {
    let scrubs: readonly NodeScrubReport[] | undefined;
    const [gateway] = this.serving;
    const told = gateway?.scrubbing.report() ?? Promise.resolve([]);
    void told.then((report) => {
      scrubs = report;
    });
    await this.until(() => scrubs !== undefined, "the scrubs are told of");
    return scrubs ?? [];
  }

  async deleteBuckets(): Promise<void> {
    for (const bucket of [STABLE, VOLATILE]) {
      const [gateway] = this.serving;
      let ended = false;
      void gateway?.service.deleteBucket(bucket).then(
        () => {
          ended = true;
        },
        () => {
          ended = true;
        },
      );
      await this.until(() => ended, `${bucket} is deleted`);
    }
  }

  get keys(): string[] {
    return [STABLE, VOLATILE].flatMap((bucket) => keysOf(bucket).map((key) => `${bucket}/${key}`));
  }
}

function asIs(store: KvStore): KvStore {
  return store;
}

/** What may keep a gateway from starting for a while. */
function isExpectedAtStart(error: unknown): boolean {
  const kinds = [CatalogError, SessionEndedError, NoJournalError, UnseenJournalError, NotDurableError];
  return kinds.some((kind) => error instanceof kind);
}

export function textOf(step: Op | Step): string {
  return JSON.stringify(step);
}
