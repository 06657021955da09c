/**
 * Re-reads every copy on a node now and then, so that one that rots is found while there is still another to replace
 * it from.
 *
 * A pass goes through the copies on record in key order, spread over half of the interval, and skips what was verified
 * within that half: so every copy is read at least once in each interval. A pass that was asked for skips nothing and is
 * not spread. Both stay below the limits and let clients go first.
 */
import { walk } from "../../catalog/catalog.ts";
import { copyKeyOfIndex } from "../../catalog/keys.ts";
import { NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import { sleep } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { copiesBetween, countCopies } from "./copies-of-node.ts";
import { CopyScrubber, type CopyScrubberDeps, type Finding, type ScrubRates } from "./copy-scrubber.ts";
import { LocalRecord } from "./local-record.ts";
import { NO_COUNTS, type ScrubState, scrubCodec, scrubKey } from "./scrub-state.ts";

/** Entries read ahead of the copy that is being read. */
const PAGE = 100;
/** The cursor is saved after so many copies, or so long. */
const SAVE_COPIES = 1_000;
const SAVE_MS = 30_000;
/** How far a pass may be ahead of its schedule, so that it need not wait before every copy. */
const AHEAD_MS = 1_000;
/** Longest single wait: timers do not reach further than 24 days. */
const WAIT_MS_MAX = 3_600_000;
/**
 * A read that the node fails weighs as much as so many that it does not. At the limit the pass pauses: it alone must not
 * open the circuit breaker of a node that has some copies that it cannot read, and serves clients well.
 */
const FAILURE_WEIGHT = 4;
const STRAIN_MAX = 3 * FAILURE_WEIGHT;
const PAUSE_MS = 60_000;
/** Failures of single copies that a pass logs; the others are only counted. */
const LOGGED_FAILURES_MAX = 20;

export interface NodeScrubberDeps extends CopyScrubberDeps {
  readonly logger: Logger;
}

type Pass = NonNullable<ScrubState["pass"]>;

export class NodeScrubber {
  readonly #deps: NodeScrubberDeps;
  readonly #node: { readonly uuid: Id; readonly name: string };
  readonly #record: LocalRecord<ScrubState>;
  /** The same to look at, which is no hindrance to whoever writes it. */
  readonly #kept: LocalRecord<ScrubState>;
  readonly #copies: CopyScrubber;
  #state: ScrubState | undefined;
  #requested = false;
  /** The pass that was asked for is to be forgotten. */
  #cancelled = false;
  /** Ends the pass under way in favour of one that was asked for. */
  #interrupt: AbortController | undefined;

  constructor(deps: NodeScrubberDeps, node: { readonly uuid: Id; readonly name: string }) {
    this.#deps = deps;
    this.#node = node;
    this.#record = new LocalRecord(deps.catalog, scrubKey(node.uuid), scrubCodec);
    this.#kept = new LocalRecord(deps.catalog, scrubKey(node.uuid), scrubCodec);
    this.#copies = new CopyScrubber(deps, node);
  }

  /** The next run begins a pass over all copies, unless such a pass is under way. To be followed by that run. */
  request(): void {
    if (this.#requested || (this.#state?.pass?.requested === true && !this.#cancelled)) return;
    this.#requested = true;
    this.#interrupt?.abort();
  }

  /** How fast it may be from now on, the pass under way included. */
  setRates(rates: ScrubRates): void {
    this.#copies.setRates(rates);
  }

  /**
   * Gives up the pass that was asked for, begun or not; those that begin by themselves go on. To be followed by a run,
   * which forgets it.
   */
  cancel(): void {
    this.#requested = false;
    this.#cancelled = true;
    this.#interrupt?.abort();
  }

  /** Whether a pass that was asked for has still to begin. */
  get requested(): boolean {
    return this.#requested;
  }

  /** As it is now, which may be a little later than what is kept. */
  async state(): Promise<ScrubState> {
    if (this.#interrupt !== undefined && this.#state !== undefined) return this.#state;
    // The pass may be that of another gateway.
    const kept = (await this.#kept.load()) ?? {};
    if (this.#interrupt === undefined || this.#state === undefined) this.#state = kept;
    return this.#state;
  }

  /** When the next pass begins by itself, on the wall clock; `undefined` while one is under way and where none does. */
  nextAtMs({ pass, last }: ScrubState): number | undefined {
    const { limits, clock } = this.#deps;
    if (pass !== undefined || !limits.enabled) return undefined;
    return last === undefined ? clock.nowMs() : last.startedAtMs + this.#spreadMs;
  }

  /** Goes on with the pass that is due, as far as it comes while the node can be asked. Never two at a time. */
  async run(signal: AbortSignal): Promise<void> {
    const { members, limits, clock } = this.#deps;
    if (this.#cancelled) await this.#dropCancelled();
    if (!members().servesReads(this.#node.uuid)) return;
    const interrupt = new AbortController();
    const ends = AbortSignal.any([signal, interrupt.signal]);
    const state = await this.#load();
    this.#state = state;
    this.#interrupt = interrupt;
    try {
      const { pass } = state;
      const dueAtMs = this.nextAtMs(state);
      if (this.#requested) await this.#pass(await this.#begin({ requested: true }, ends), ends);
      else if (pass !== undefined && (pass.requested || limits.enabled)) await this.#pass(pass, ends);
      else if (dueAtMs !== undefined && dueAtMs <= clock.nowMs()) {
        await this.#pass(await this.#begin({ requested: false }, ends), ends);
      }
    } catch (error) {
      if (signal.aborted || !interrupt.signal.aborted) throw error;
    } finally {
      this.#interrupt = undefined;
    }
  }

  get #spreadMs(): number {
    return this.#deps.limits.intervalMs / 2;
  }

  async #dropCancelled(): Promise<void> {
    const { pass, ...rest } = await this.#load();
    if (pass?.requested === true) await this.#save(rest);
    this.#cancelled = false;
  }

  async #load(): Promise<ScrubState> {
    return (await this.#record.load()) ?? {};
  }

  async #save(state: ScrubState): Promise<void> {
    this.#state = state;
    await this.#record.save(state);
  }

  async #begin({ requested }: { requested: boolean }, signal: AbortSignal): Promise<Pass> {
    const { catalog, clock } = this.#deps;
    const startedAtMs = clock.nowMs();
    const total = await countCopies(catalog.kv, this.#node.uuid, signal);
    const pass: Pass = { ...NO_COUNTS, startedAtMs, requested, total };
    await this.#save({ ...this.#state, pass });
    if (requested) this.#requested = false;
    return pass;
  }

  async #pass(from: Pass, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    const done = await this.#walk(from, signal);
    if (done === undefined) return;
    const { after: _, ...pass } = done;
    await this.#save({ last: { ...pass, endedAtMs: clock.nowMs() } });
    logger.info({ node: this.#node.name, ...pass }, "a scrub pass ended");
  }

  /** @returns the pass at its end; `undefined` when the node went away before, and where it stands is saved */
  async #walk(from: Pass, signal: AbortSignal): Promise<Pass | undefined> {
    const { catalog, clock, members } = this.#deps;
    const { uuid } = this.#node;
    let pass = from;
    // Behind what follows in `pass` the node has not answered: should it be the node that is gone, all that is read again.
    let answered = from;
    let strain = 0;
    let saved = { seen: from.seen, atMs: clock.monotonicMs() };
    let ended = false;
    try {
      for await (const entry of walk(catalog.kv, copiesBetween(uuid, from.after), PAGE)) {
        await this.#keepSchedule(pass, signal);
        const sinceMs = pass.requested ? pass.startedAtMs : clock.nowMs() - this.#spreadMs;
        const finding = await this.#copies.look(entry, sinceMs, signal);
        const noAnswer = finding.kind === "failed" && finding.temporary;
        if (noAnswer && !members().servesReads(uuid)) return undefined;
        if (finding.kind === "failed") this.#logFailure(pass, finding.error, entry.key);
        strain = strainAfter(strain, finding);
        const asBefore = answered === pass;
        pass = { ...withFinding(pass, finding), after: copyKeyOfIndex(entry.key) };
        if (!noAnswer && (asBefore || finding.kind !== "skipped")) answered = pass;
        this.#state = { ...this.#state, pass: answered };
        if (answered.seen - saved.seen >= SAVE_COPIES || clock.monotonicMs() - saved.atMs >= SAVE_MS) {
          await this.#save(this.#state);
          saved = { seen: answered.seen, atMs: clock.monotonicMs() };
        }
        if (strain < STRAIN_MAX) continue;
        await sleep(clock, PAUSE_MS, signal);
        strain = 0;
      }
      ended = true;
      return pass;
    } finally {
      if (!ended) await this.#save({ ...this.#state, pass: answered });
    }
  }

  /** Waits until the copy that comes next is due, in a pass that is spread. */
  async #keepSchedule({ requested, startedAtMs, total, seen }: Pass, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (requested || total === 0) return;
    const { clock } = this.#deps;
    const dueAtMs = startedAtMs + this.#spreadMs * Math.min(1, seen / total);
    for (let waitMs = dueAtMs - clock.nowMs(); waitMs > AHEAD_MS; waitMs = dueAtMs - clock.nowMs()) {
      await sleep(clock, Math.min(waitMs, WAIT_MS_MAX), signal);
    }
  }

  #logFailure({ failed }: Pass, err: Error, entryKey: Buffer): void {
    if (failed >= LOGGED_FAILURES_MAX) return;
    const entry = entryKey.toString("hex");
    this.#deps.logger.warn({ err, node: this.#node.name, entry }, "a copy could not be verified");
  }
}

function strainAfter(strain: number, finding: Finding): number {
  if (finding.kind === "skipped") return strain;
  if (finding.kind === "failed" && finding.error instanceof NodeError) return strain + FAILURE_WEIGHT;
  return Math.max(0, strain - 1);
}

function withFinding(pass: Pass, finding: Finding): Pass {
  const seen = pass.seen + 1;
  switch (finding.kind) {
    case "skipped":
      return { ...pass, seen };
    case "verified":
      return { ...pass, seen, verified: pass.verified + 1, verifiedBytes: pass.verifiedBytes + finding.bytes };
    default:
      return { ...pass, seen, [finding.kind]: pass[finding.kind] + 1 };
  }
}
