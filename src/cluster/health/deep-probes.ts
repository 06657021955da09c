/**
 * The probes that go deeper than whether a node answers, each on a clock of its own: they wait for nobody and nobody
 * waits for them. What one of them found holds until the same one passes.
 */

import type { StorageNode } from "../../nodes/storage-node.ts";
import { NodeError, type NodeErrorKind, type ProbeDepth, type ProbeFinding } from "../../nodes/storage-node.ts";
import type { Clock, Timer } from "../../shared/clock.ts";

export type DeepProbe = Exclude<ProbeDepth, "reach">;
export const DEEP_PROBES: readonly DeepProbe[] = ["list", "canary", "admission"];

/** A listing and a canary for so many probes of reach: every 5 minutes with the interval of 30 seconds. */
export const DEEP_INTERVALS = 10;
export const ADMISSION_INTERVAL_MS = 86_400_000;
/** How soon one that failed is made again, in probes of reach. */
const RETRY_INTERVALS = 2;
/** Longest time that one may take. */
const TIMEOUT_MS = 60_000;
/** Failures in a row that it takes to believe one that may pass by itself. */
const TEMPORARY_FAILURES = 2;

/**
 * What a failed probe says of the node: `full`: no room for new copies; `corrupt`: it gave back other bytes; `unsound`:
 * anything else. Nothing is said by a node that does not answer: the probe of reach is for that.
 */
export interface DeepFinding {
  readonly verdict: "full" | "corrupt" | "unsound";
  /** For an operator. */
  readonly reason: string;
}

export interface DeepProbesDeps {
  readonly node: StorageNode;
  readonly clock: Clock;
  /** Of the probes of reach. */
  readonly intervalMs: number;
  /** 0 to 1: where in its interval the first probe is, so that those of many nodes are spread. */
  readonly phase: number;
  /** Whether the node answers, so that asking it more makes sense. */
  readonly answers: () => boolean;
  /** The findings that hold have changed. Must not throw. */
  readonly onChanged: () => void;
}

export class DeepProbes {
  readonly #deps: DeepProbesDeps;
  readonly #found = new Map<DeepProbe, DeepFinding>();
  readonly #failures = new Map<DeepProbe, number>();
  readonly #timers = new Map<DeepProbe, Timer>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(deps: DeepProbesDeps) {
    this.#deps = deps;
  }

  /** What holds now. */
  get findings(): readonly DeepFinding[] {
    return [...this.#found.values()];
  }

  start(): void {
    for (const depth of DEEP_PROBES) this.#schedule(depth, this.#intervalMs(depth) * (0.5 + this.#deps.phase / 2));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const timer of this.#timers.values()) timer.stop();
    await Promise.all(this.#running);
  }

  #intervalMs(depth: DeepProbe): number {
    return depth === "admission" ? ADMISSION_INTERVAL_MS : DEEP_INTERVALS * this.#deps.intervalMs;
  }

  #schedule(depth: DeepProbe, delayMs: number): void {
    if (this.#stopped.signal.aborted) return;
    const fire = (): void => {
      const run = this.#run(depth).finally(() => this.#running.delete(run));
      this.#running.add(run);
    };
    this.#timers.set(depth, this.#deps.clock.startTimer(delayMs, fire));
  }

  async #run(depth: DeepProbe): Promise<void> {
    const { intervalMs, answers } = this.#deps;
    const retryMs = Math.min(this.#intervalMs(depth), RETRY_INTERVALS * intervalMs);
    if (!answers()) return this.#schedule(depth, retryMs);
    const failure = await this.#probe(depth);
    if (this.#stopped.signal.aborted) return;
    this.#judge(depth, failure);
    this.#schedule(depth, failure === undefined ? this.#intervalMs(depth) : retryMs);
  }

  async #probe(depth: DeepProbe): Promise<Failure | undefined> {
    const { node, clock } = this.#deps;
    const timeout = new AbortController();
    const silent = Promise.withResolvers<Failure>();
    const timer = clock.startTimer(TIMEOUT_MS, () => {
      timeout.abort();
      silent.resolve({ kind: "timeout", reason: `${depth}: the node did not answer in time` });
    });
    const stop = (): void => silent.resolve({ kind: "aborted", reason: "stopped" });
    this.#stopped.signal.addEventListener("abort", stop, { once: true });
    const signal = AbortSignal.any([timeout.signal, this.#stopped.signal]);
    try {
      // A driver that ignores the signal is not waited for.
      return await Promise.race([node.probe(depth, signal).then(failureOf, thrown), silent.promise]);
    } finally {
      timer.stop();
      this.#stopped.signal.removeEventListener("abort", stop);
    }
  }

  #judge(depth: DeepProbe, failure: Failure | undefined): void {
    const before = this.#found.get(depth);
    if (failure === undefined) {
      this.#failures.delete(depth);
      this.#found.delete(depth);
    } else {
      // That it does not answer is for the probe of reach to say.
      if (failure.kind === "unreachable" || failure.kind === "aborted") return;
      const failures = (this.#failures.get(depth) ?? 0) + 1;
      this.#failures.set(depth, failures);
      const { kind, reason } = failure;
      const passing = kind === undefined || PASSING.has(kind);
      if (passing && failures < TEMPORARY_FAILURES) return;
      const verdict = kind === "full" || kind === "read-only" ? "full" : kind === "corrupt" ? "corrupt" : "unsound";
      this.#found.set(depth, { verdict, reason: `${depth} probe: ${reason}` });
    }
    const after = this.#found.get(depth);
    if (before?.verdict !== after?.verdict || before?.reason !== after?.reason) this.#deps.onChanged();
  }
}

interface Failure {
  readonly kind: NodeErrorKind | undefined;
  readonly reason: string;
}

/** Kinds that may be gone a moment later. */
const PASSING: ReadonlySet<NodeErrorKind> = new Set<NodeErrorKind>(["timeout", "busy", "io", "not-found"]);

/** What is known of the failure by the checks that failed; the first of those that say more than that it is away. */
function failureOf(findings: readonly ProbeFinding[]): Failure | undefined {
  const failed = findings.filter(({ passed }) => !passed);
  const telling = failed.find(({ kind }) => kind !== undefined && !PASSING.has(kind)) ?? failed[0];
  if (telling === undefined) return undefined;
  const { check, reason, kind } = telling;
  return {
    kind: check === "reach" ? "unreachable" : kind,
    reason: reason === undefined ? check : `${check}: ${reason}`,
  };
}

function thrown(error: unknown): Failure {
  if (error instanceof NodeError) return { kind: error.kind, reason: error.message };
  return { kind: undefined, reason: "it failed in an unexpected way" };
}
