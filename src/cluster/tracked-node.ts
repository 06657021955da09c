/**
 * One node, watched: probes it on the interval clock, rechecks it sooner while it is not well, and steps its health by
 * what was seen. Nothing here waits for another node.
 */
import type { Catalog } from "../catalog/catalog.ts";
import { nodeKey } from "../catalog/keys.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import type { NodeSigns } from "../nodes/wrappers/live-signs.ts";
import type { Logger } from "../observability/logger.ts";
import type { TopologyNode } from "../placement/topology.ts";
import type { Clock, Timer } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { EventKind, NewEvent } from "./events/event.ts";
import { CorruptionWatch, type NodeCondition, SlowJudge } from "./health/conditions.ts";
import { DeepProbes } from "./health/deep-probes.ts";
import { diskHealthOf, type Heartbeat } from "./health/heartbeat.ts";
import { EFFECTS, type Evidence, initialHealth, type NodeHealth, type NodeState, step } from "./health/transitions.ts";
import type { Member } from "./members.ts";
import { checkNode } from "./node-check.ts";
import { recordAdmission } from "./topology-store.ts";

/** How soon a node that is not well is looked at again. */
const RETRY_MS = 2_000;
/** Longest time that one check may take. */
const CHECK_TIMEOUT_MS = 15_000;

/** A node with what its wrappers know of it. */
export interface NodeHandle {
  readonly node: StorageNode;
  /** False while its circuit breaker keeps traffic away. */
  available(): boolean;
  /** False while it answered lately that it is full. */
  hasRoom(): boolean;
  loadScore(): number;
  /** Called when its circuit breaker opens. */
  onUnavailable(listener: () => void): void;
  /** What live traffic shows of it; absent where nobody looks. */
  signs?(): NodeSigns;
  /** Whether it runs in this process. */
  readonly embedded?: boolean;
}

export interface WatchDeps {
  readonly catalog: Catalog;
  readonly clusterKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly onStateChanged: (node: string, state: NodeState) => void;
  /** Must not throw, and is not waited for. */
  readonly recordEvent?: (event: NewEvent) => void;
  /** Called when a node's disk seems to go bad, so that all of it is looked at. Must not throw. */
  readonly onCorrupt?: (uuid: Id) => void;
}

export interface TrackedNodeOptions {
  readonly spec: TopologyNode;
  readonly handle: NodeHandle;
  readonly admitted: boolean;
  readonly announceOnline: () => void;
  /** Mean latencies of the other nodes. */
  readonly peersMs: () => readonly number[];
}

/** What a state is told as, when a node comes to it. */
const STATE_EVENTS: Readonly<Partial<Record<NodeState, EventKind>>> = {
  online: "NODE_ONLINE",
  degraded: "NODE_DEGRADED",
  unreachable: "NODE_OFFLINE",
  "access-denied": "NODE_ACCESS_DENIED",
  replaced: "NODE_REPLACED",
  refused: "NODE_REFUSED",
};

const CONDITION_EVENTS = { full: "NODE_FULL", slow: "NODE_SLOW", corrupt: "NODE_CORRUPT" } as const;

const CONDITION_REASONS: Readonly<Record<NodeCondition, string>> = {
  suspect: "its circuit breaker is open",
  full: "it has no room for new copies",
  slow: "it is much slower than its peers",
  corrupt: "blocks on it were found bad",
};

export class TrackedNode implements Member {
  readonly handle: NodeHandle;
  readonly #deps: WatchDeps;
  readonly #options: TrackedNodeOptions;
  readonly #stopped = new AbortController();
  readonly #deep: DeepProbes;
  readonly #slow = new SlowJudge();
  readonly #corruption = new CorruptionWatch();
  readonly #startedMs: number;
  #spec: TopologyNode;
  #health: NodeHealth;
  #reason: string | undefined;
  #sinceMs: number;
  #admitted: boolean;
  /** Whether its last check passed and its circuit breaker has not opened since. */
  #answers = false;
  /** Whether it was announced as online and has been usable ever since. */
  #announced = false;
  #conditionsTold: readonly NodeCondition[] = [];
  #heartbeat: Heartbeat | undefined;
  #heartbeatRunning = false;
  #callsBefore: { readonly calls: number; readonly atMs: number } | undefined;
  #tickTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Whether the check under way is the one of the interval clock. */
  #counts = false;

  constructor(deps: WatchDeps, options: TrackedNodeOptions) {
    const { spec, handle, admitted } = options;
    const { clock, intervalMs } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#spec = spec;
    this.handle = handle;
    this.#startedMs = clock.monotonicMs();
    this.#sinceMs = clock.nowMs();
    this.#admitted = admitted;
    this.#health = initialHealth(spec.decommissionedAtMs !== undefined);
    this.#deep = new DeepProbes({
      node: handle.node,
      clock,
      intervalMs,
      phase: Number.parseInt(spec.uuid.slice(-4), 16) / 0x10000 || 0,
      answers: () => this.usable,
      onChanged: () => this.#checkIn(0),
    });
    handle.onUnavailable(() => {
      this.#answers = false;
      this.#announced = false;
      this.#checkIn(RETRY_MS);
    });
  }

  get spec(): TopologyNode {
    return this.#spec;
  }

  /** The topology says something else of it now, unless that was read before it was admitted. */
  respecify(spec: TopologyNode): void {
    if (spec.writeGeneration < this.#spec.writeGeneration) return;
    const before = this.#spec.decommissionedAtMs !== undefined;
    const after = spec.decommissionedAtMs !== undefined;
    this.#spec = spec;
    if (before === after) return;
    this.#see({ kind: after ? "decommissioned" : "rejoined" }, after ? "it was away for too long" : undefined);
    if (!after) this.#checkIn(0);
  }

  get node(): StorageNode {
    return this.handle.node;
  }

  get state(): NodeState {
    return this.#health.state;
  }

  get conditions(): readonly NodeCondition[] {
    const all: NodeCondition[] = [];
    const found = this.#deep.findings.map(({ verdict }) => verdict);
    if (EFFECTS[this.state].reads !== "never" && !this.usable) all.push("suspect");
    if (!this.handle.hasRoom() || found.includes("full")) all.push("full");
    if (this.#slow.slow) all.push("slow");
    if (found.includes("corrupt") || this.#corruption.corrupt(this.#deps.clock.monotonicMs())) all.push("corrupt");
    return all;
  }

  get reason(): string | undefined {
    if (this.#reason !== undefined) return this.#reason;
    const [condition] = this.conditions;
    if (condition === undefined) return undefined;
    const found = this.#deep.findings.find(({ verdict }) => verdict === condition);
    return found?.reason ?? CONDITION_REASONS[condition];
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  get missedProbes(): number {
    return this.#health.missed;
  }

  get heartbeat(): Heartbeat | undefined {
    return this.#heartbeat;
  }

  /** Whether it answers as our node, as far as is known. */
  get usable(): boolean {
    return this.#answers && this.handle.available();
  }

  loadScore(): number {
    return this.handle.loadScore();
  }

  /** Mean latency of its calls lately. */
  latencyMs(): number | undefined {
    return this.handle.signs?.().latencyMs;
  }

  /** A block on it was found bad. */
  badBlockFound(): void {
    this.#corruption.found(this.#deps.clock.monotonicMs());
    this.#tellConditions();
  }

  /** Checks it now and on the interval clock from then on. Resolves after the first check. */
  async start(): Promise<void> {
    this.#deep.start();
    this.#tick();
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#tickTimer?.stop();
    this.#retryTimer?.stop();
    await Promise.all([this.#running, this.#deep.stop()]);
  }

  /** The interval clock: it goes on whatever the checks do. */
  #tick(): void {
    if (this.#stopped.signal.aborted) return;
    const { clock, intervalMs } = this.#deps;
    this.#tickTimer = clock.startTimer(intervalMs, () => this.#tick());
    // One that is under way stands for this probe, too.
    if (this.#running === undefined) this.#begin(true);
    else this.#counts = true;
    this.#slow.judge(this.latencyMs(), this.#options.peersMs());
    this.#tellConditions();
    void this.#beat();
  }

  #begin(counts: boolean): void {
    this.#retryTimer?.stop();
    this.#counts = counts;
    this.#running = this.#check().finally(() => {
      this.#running = undefined;
      if (!this.#stopped.signal.aborted && this.#wantsRecheck()) this.#checkIn(RETRY_MS);
    });
  }

  /** Whether the next probe on the interval clock is too late to see how it is. */
  #wantsRecheck(): boolean {
    const { state } = this.#health;
    return state !== "decommissioned" && (state !== "online" || !this.usable) && !this.#heldSound();
  }

  /** A node that answers and is held by a deeper probe alone is not looked at more often for that. */
  #heldSound(): boolean {
    return this.#health.state === "degraded" && this.usable && !this.#sound();
  }

  #sound(): boolean {
    return !this.#deep.findings.some(({ verdict }) => verdict === "unsound");
  }

  #checkIn(delayMs: number): void {
    if (this.#stopped.signal.aborted || this.#running !== undefined) return;
    const { clock, intervalMs } = this.#deps;
    this.#retryTimer?.stop();
    this.#retryTimer = clock.startTimer(Math.min(delayMs, intervalMs), () => {
      if (this.#running === undefined && !this.#stopped.signal.aborted) this.#begin(false);
    });
  }

  async #check(): Promise<void> {
    const { clock, logger } = this.#deps;
    const beganMs = clock.monotonicMs();
    const timeout = new AbortController();
    const silent = Promise.withResolvers<Seen>();
    const timer = clock.startTimer(CHECK_TIMEOUT_MS, () => {
      timeout.abort();
      silent.resolve({ kind: "silent", reason: "it did not answer its check in time" });
    });
    const stop = (): void => silent.resolve({ kind: "undecided", reason: undefined });
    this.#stopped.signal.addEventListener("abort", stop, { once: true });
    try {
      // A driver that ignores the signal is not waited for.
      const seen = await Promise.race([this.#look(timeout.signal), silent.promise]);
      if (this.#stopped.signal.aborted) return;
      this.#judge(timeout.signal.aborted ? await silent.promise : seen, beganMs);
    } catch (error) {
      logger.error({ err: error, node: this.#spec.name }, "a node check failed in an unexpected way");
      this.#judge({ kind: "silent", reason: "its check failed in an unexpected way" }, beganMs);
    } finally {
      timer.stop();
      this.#stopped.signal.removeEventListener("abort", stop);
    }
  }

  async #look(signal: AbortSignal): Promise<Seen> {
    const { catalog, clusterKey, logger } = this.#deps;
    const { uuid, name } = this.#spec;
    const isKnown = async (other: Id): Promise<boolean> => (await catalog.kv.get(nodeKey(other))) !== undefined;
    const admitted = this.#admitted;
    const identity = { clusterId: catalog.clusterId, nodeUuid: uuid };
    const either = AbortSignal.any([signal, this.#stopped.signal]);
    const result = await checkNode(this.node, identity, { clusterKey, admitted, isKnown, signal: either });
    if (result.admittedNow === true && !either.aborted) {
      const writeGeneration = await recordAdmission(catalog, uuid);
      if (writeGeneration === undefined) return { kind: "undecided", reason: undefined };
      this.#admitted = true;
      this.#spec = { ...this.#spec, writeGeneration };
      logger.info({ node: name }, "node admitted");
    }
    return { kind: result.seen, reason: result.reason };
  }

  #judge({ kind, reason }: Seen, beganMs: number): void {
    // Its record changed while it was to be admitted: the next check does it.
    if (kind === "undecided") return;
    if (kind === "answered") {
      this.#answers = true;
      const sound = this.#sound();
      const held = this.#deep.findings.find(({ verdict }) => verdict === "unsound");
      this.#see({ kind: "answered", sound }, held?.reason);
    } else if (kind === "busy") {
      // It is there. One of which nothing else is known yet is not to wait for that for ever.
      this.#answers = false;
      this.#see({ kind: "silent", counts: this.state === "joining" }, reason);
    } else if (kind === "silent") {
      // Its traffic shows that it can be reached, whatever became of this one check.
      const alive = this.usable && (this.handle.signs?.().lastSuccessMs ?? Number.NEGATIVE_INFINITY) > beganMs;
      if (!alive) this.#answers = false;
      this.#see({ kind: "silent", counts: this.#counts && !alive }, reason);
    } else {
      this.#answers = false;
      this.#see({ kind }, reason);
    }
    this.#tellConditions();
  }

  #see(evidence: Evidence, reason: string | undefined): void {
    const before = this.#health.state;
    this.#health = step(this.#health, evidence).next;
    const { state } = this.#health;
    if (evidence.kind !== "answered") this.#reason = reason;
    else if (state === "online") this.#reason = undefined;
    else if (reason !== undefined) this.#reason = reason;
    else if (state !== "decommissioned") this.#reason = "it answers again, and has yet to do so twice in a row";
    if (state !== before) this.#entered(state, before);
    const comesOnline = state === "online" && this.usable && !this.#announced;
    this.#announced = state === "online" && this.usable;
    if (comesOnline) this.#options.announceOnline();
  }

  #entered(state: NodeState, before: NodeState): void {
    const { clock, logger, onStateChanged, recordEvent } = this.#deps;
    const { name, domain } = this.#spec;
    this.#sinceMs = clock.nowMs();
    onStateChanged(name, state);
    const facts = { node: name, domain, state, before, reason: this.#reason };
    if (state === "online") logger.info(facts, "node is online");
    else logger.warn(facts, "node is not online");
    const kind = STATE_EVENTS[state];
    if (kind !== undefined) recordEvent?.({ kind, node: name, domain, cause: this.#reason ?? `it was ${before}` });
  }

  #tellConditions(): void {
    const { logger, recordEvent, onCorrupt } = this.#deps;
    const { name, uuid, domain } = this.#spec;
    const { conditions } = this;
    for (const condition of ["full", "slow", "corrupt"] as const) {
      const [was, is] = [this.#conditionsTold.includes(condition), conditions.includes(condition)];
      if (was === is) continue;
      const found = this.#deep.findings.find(({ verdict }) => verdict === condition);
      const cause = found?.reason ?? CONDITION_REASONS[condition];
      if (!is) logger.info({ node: name, condition }, "a node's condition has ended");
      else {
        logger.warn({ node: name, condition, reason: cause }, "a node is in a bad condition");
        recordEvent?.({ kind: CONDITION_EVENTS[condition], node: name, domain, cause });
        if (condition === "corrupt") onCorrupt?.(uuid);
      }
    }
    this.#conditionsTold = conditions;
  }

  async #beat(): Promise<void> {
    if (this.#heartbeatRunning || !this.usable) return;
    this.#heartbeatRunning = true;
    try {
      const capacity = await this.node.capacity(this.#stopped.signal);
      const { clock } = this.#deps;
      this.#heartbeat = {
        workerId: this.#spec.uuid,
        atMs: clock.nowMs(),
        storage: {
          capacity,
          diskType: this.#spec.diskType,
          diskModel: undefined,
          ioUtilization: undefined,
          iopsCurrent: this.#callsPerSecond(),
        },
        isMaster: false,
        uptimeSeconds:
          this.handle.embedded === true ? Math.floor((clock.monotonicMs() - this.#startedMs) / 1000) : undefined,
        diskHealth: diskHealthOf(this.state, this.conditions),
      };
    } catch {
      // Its probes say what is the matter; the heartbeat before stays, with its time.
    } finally {
      this.#heartbeatRunning = false;
    }
  }

  #callsPerSecond(): number | undefined {
    const signs = this.handle.signs?.();
    if (signs === undefined) return undefined;
    const atMs = this.#deps.clock.monotonicMs();
    const before = this.#callsBefore;
    this.#callsBefore = { calls: signs.calls, atMs };
    if (before === undefined || atMs <= before.atMs) return undefined;
    return Math.round((10_000 * (signs.calls - before.calls)) / (atMs - before.atMs)) / 10;
  }
}

/** What one check saw. `undecided`: nothing that its state could follow from. */
interface Seen {
  readonly kind: "answered" | "silent" | "busy" | "denied" | "identity-gone" | "identity-wrong" | "undecided";
  readonly reason: string | undefined;
}
