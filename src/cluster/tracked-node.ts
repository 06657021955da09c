/**
 * One node, watched: probes it on the interval clock, rechecks it sooner while it is not well, and steps its health by
 * what was seen. Nothing here waits for another node.
 */
import type { Catalog } from "../catalog/catalog.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import type { Logger } from "../observability/logger.ts";
import type { TopologyNode } from "../placement/topology.ts";
import type { Clock, Timer } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { EventKind, NewEvent } from "./events/event.ts";
import { ConditionWatch, type ToldCondition } from "./health/condition-watch.ts";
import type { NodeCondition } from "./health/conditions.ts";
import { DeepProbes } from "./health/deep-probes.ts";
import { Heart } from "./health/heart.ts";
import { type DiskHealth, diskHealthOf, type Heartbeat } from "./health/heartbeat.ts";
import { EFFECTS, type Evidence, initialHealth, type NodeHealth, type NodeState, step } from "./health/transitions.ts";
import { lookAtNode, type Seen } from "./look-at-node.ts";
import type { Member } from "./members.ts";
import type { NodeHandle } from "./node-handle.ts";

/** How soon a node that is not well is looked at again. */
const RETRY_MS = 2_000;
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

export class TrackedNode implements Member {
  readonly handle: NodeHandle;
  readonly #deps: WatchDeps;
  readonly #options: TrackedNodeOptions;
  readonly #stopped = new AbortController();
  readonly #deep: DeepProbes;
  readonly #conditions: ConditionWatch;
  readonly #heart: Heart;
  #spec: TopologyNode;
  #health: NodeHealth;
  #reason: string | undefined;
  #sinceMs: number;
  #admitted: boolean;
  /** Whether its last check passed and its circuit breaker has not opened since. */
  #answers = false;
  /** Whether it was announced as online and has been usable ever since. */
  #announced = false;
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
    this.#heart = new Heart(handle, clock);
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
    this.#conditions = new ConditionWatch({
      clock,
      hasRoom: () => handle.hasRoom(),
      suspect: () => EFFECTS[this.state].reads !== "never" && !this.usable,
      findings: () => this.#deep.findings,
      onChanged: (condition, begun, reason) => this.#conditionChanged(condition, begun, reason),
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

  /** It is the node that had another handle before. */
  inherit(before: TrackedNode): void {
    const isAway = ({ decommissionedAtMs }: TopologyNode): boolean => decommissionedAtMs !== undefined;
    // The change that opened it anew may be the one that decommissioned it, or took it back.
    if (isAway(before.#spec) !== isAway(this.#spec)) return;
    this.#health = before.#health;
    this.#reason = before.#reason;
    this.#sinceMs = before.#sinceMs;
    this.#answers = before.#answers;
    this.#announced = before.#announced;
    this.#admitted ||= before.#admitted;
    this.respecify(before.#spec);
  }

  get node(): StorageNode {
    return this.handle.node;
  }

  get state(): NodeState {
    return this.#health.state;
  }

  get conditions(): readonly NodeCondition[] {
    return this.#conditions.now;
  }

  get reason(): string | undefined {
    return this.#reason ?? this.#conditions.reason;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  get missedProbes(): number {
    return this.#health.missed;
  }

  get heartbeat(): Heartbeat | undefined {
    return this.#heart.last;
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
    this.#conditions.badBlockFound();
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
    this.#conditions.judge(this.latencyMs(), this.#options.peersMs());
    const diskHealth = (): DiskHealth => diskHealthOf(this.state, this.conditions);
    if (this.usable) void this.#heart.beat(this.#spec, diskHealth, this.#stopped.signal);
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
    const { catalog, clusterKey, clock, logger } = this.#deps;
    const beganMs = clock.monotonicMs();
    const { uuid } = this.#spec;
    const stopped = this.#stopped.signal;
    const admitted = this.#admitted;
    const seen = await lookAtNode({ catalog, clusterKey, clock, logger, node: this.node, uuid, admitted, stopped });
    if (stopped.aborted) return;
    if (seen.admittedAs !== undefined) {
      this.#admitted = true;
      this.#spec = { ...this.#spec, writeGeneration: seen.admittedAs };
    }
    this.#judge(seen, beganMs);
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
    this.#conditions.tell();
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

  #conditionChanged(condition: ToldCondition, begun: boolean, reason: string): void {
    const { logger, recordEvent, onCorrupt } = this.#deps;
    const { name, uuid, domain } = this.#spec;
    if (!begun) {
      logger.info({ node: name, condition }, "a node's condition has ended");
      return;
    }
    logger.warn({ node: name, condition, reason }, "a node is in a bad condition");
    recordEvent?.({ kind: CONDITION_EVENTS[condition], node: name, domain, cause: reason });
    if (condition === "corrupt") onCorrupt?.(uuid);
  }
}
