/**
 * The event log in the catalog: `event/<sequence>`, one sequence for all gateways, so that each gets those of the others
 * by following the tail. What is told is kept in memory until it is committed, and tried again for as long as it takes.
 */
import { type Catalog, SessionEndedError } from "../../catalog/catalog.ts";
import { eventKey, eventsAfter, eventsRange, sequenceOfEvent } from "../../catalog/keys.ts";
import { CatalogError, type KvEntry } from "../../catalog/kv.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock, Timer } from "../../shared/clock.ts";
import { type ClusterEvent, EVENTS_LIST_MAX, type EventLog, type NewEvent } from "./event.ts";
import { decodeEvent, type EventRecord, encodeEvent } from "./event-record.ts";

/** Events kept, and for how long. */
export const EVENTS_MAX = 10_000;
export const EVENTS_AGE_MS = 30 * 86_400_000;
/** How often the tail is looked at: how late an event of another gateway may be. */
export const POLL_MS = 1_000;
/** Events that wait to be committed while the catalog does not take them; the oldest are dropped above it, and counted. */
const PENDING_MAX = 10_000;
/** Events in one commit, told from one page, removed by one commit. */
const BATCH = 100;
/** How often in a row a number may be taken by others before it is tried again later. */
const CONFLICTS_MAX = 16;
/** How often what is too much or too old is looked for. */
const TRIM_MS = 600_000;
/** Characters of a cause that are kept. */
const CAUSE_MAX = 1_000;

export interface EventLogDeps {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of this gateway. */
  readonly gateway: string;
  /** Told of every event of this gateway. */
  readonly onRecorded?: (kind: string) => void;
}

export class CatalogEventLog implements EventLog, AsyncDisposable {
  readonly #deps: EventLogDeps;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  #pending: EventRecord[] = [];
  #dropped = 0;
  /** A commit whose answer did not come, and the number of its first event. */
  #uncertain: { readonly first: number; readonly batch: readonly EventRecord[] } | undefined;
  /** The last event that the listeners were told of; `undefined` until the tail is known. */
  #told: number | undefined;
  #timer: Timer | undefined;
  #trimmedAtMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(deps: EventLogDeps) {
    this.#deps = deps;
  }

  /** Finds the tail, from which on listeners are told, and goes on following it. @throws CatalogError */
  async start(): Promise<void> {
    this.#told = await this.#lastSequence();
    this.#wake();
  }

  record(event: NewEvent): void {
    const { clock, gateway, onRecorded } = this.#deps;
    onRecorded?.(event.kind);
    this.#pending.push({ ...event, cause: event.cause.slice(0, CAUSE_MAX), atMs: clock.nowMs(), gateway });
    if (this.#pending.length > PENDING_MAX) {
      this.#pending.shift();
      this.#dropped += 1;
    }
    if (this.#told !== undefined) this.#wake();
  }

  async list({ after, limit }: { readonly after?: number; readonly limit: number }): Promise<readonly ClusterEvent[]> {
    const { kv } = this.#deps.catalog;
    const bounded = Math.min(EVENTS_LIST_MAX, limit);
    if (after !== undefined) return (await kv.list(eventsAfter(after), { limit: bounded })).map(eventOf);
    const newest = await kv.list(eventsRange(), { limit: bounded, reverse: true });
    return newest.reverse().map(eventOf);
  }

  follow(listener: (event: ClusterEvent) => void): () => void {
    // One that follows twice is told twice.
    const own = (event: ClusterEvent): void => listener(event);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** Commits what is still to be committed, if the catalog takes it, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.stop();
    await this.#running;
    if (this.#told !== undefined) await this.#flush().catch(() => {});
  }

  #wake(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.stop();
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#stopped) return;
      const again = this.#again;
      this.#again = false;
      if (again) this.#wake();
      else this.#timer = this.#deps.clock.startTimer(POLL_MS, () => this.#wake());
    });
  }

  async #run(): Promise<void> {
    const { logger } = this.#deps;
    try {
      await this.#flush();
      await this.#tellTail();
      await this.#trim();
    } catch (error) {
      // What waits is committed a moment later; nobody who told of it is to be held up.
      if (!(error instanceof SessionEndedError)) logger.warn({ err: error }, "the event log cannot be kept up now");
    }
  }

  async #flush(): Promise<void> {
    const { catalog, logger } = this.#deps;
    if (this.#dropped > 0) logger.error({ events: this.#dropped }, "events were dropped: the catalog took none");
    this.#dropped = 0;
    for (let conflicts = 0; this.#pending.length > 0; ) {
      await this.#settleUncertain();
      const batch = this.#pending.slice(0, BATCH);
      if (batch.length === 0) return;
      const first = (await this.#lastSequence()) + 1;
      const atomic = catalog.begin();
      for (const [index, event] of batch.entries()) {
        const key = eventKey(first + index);
        // Another gateway may take the number first: then all of them are counted anew.
        atomic.check(key, null).set(key, encodeEvent(event));
      }
      this.#uncertain ??= { first, batch };
      const { committed } = await catalog.commit(atomic);
      if (committed) {
        this.#uncertain = undefined;
        this.#remove(batch);
      } else if (++conflicts >= CONFLICTS_MAX) {
        throw new CatalogError("unavailable", "the numbers of events kept being taken");
      } else if (this.#uncertain.batch === batch) this.#uncertain = undefined;
    }
  }

  /** Whether a commit whose answer was lost has happened after all: then its events are not told twice. */
  async #settleUncertain(): Promise<void> {
    const uncertain = this.#uncertain;
    if (uncertain === undefined) return;
    const entry = await this.#deps.catalog.kv.get(eventKey(uncertain.first));
    // It may still become visible.
    if (entry === undefined) return;
    const [event] = uncertain.batch;
    if (event !== undefined && entry.value.equals(encodeEvent(event))) this.#remove(uncertain.batch);
    this.#uncertain = undefined;
  }

  #remove(batch: readonly EventRecord[]): void {
    const done = new Set(batch);
    this.#pending = this.#pending.filter((event) => !done.has(event));
  }

  async #tellTail(): Promise<void> {
    for (;;) {
      const after = this.#told ?? 0;
      const page = await this.#deps.catalog.kv.list(eventsAfter(after), { limit: BATCH });
      for (const entry of page) this.#tell(entry);
      if (page.length < BATCH) return;
    }
  }

  #tell(entry: KvEntry): void {
    const { logger } = this.#deps;
    this.#told = sequenceOfEvent(entry.key);
    for (const listener of this.#listeners) {
      try {
        listener(eventOf(entry));
      } catch (error) {
        logger.error({ err: error, sequence: this.#told }, "an event's listener failed");
      }
    }
  }

  /** Removes what is too much or too old, never the last one: numbers are not given out again. */
  async #trim(): Promise<void> {
    const { catalog, clock } = this.#deps;
    if (clock.monotonicMs() < this.#trimmedAtMs + TRIM_MS) return;
    const last = await this.#lastSequence();
    for (;;) {
      const oldest = await catalog.kv.list(eventsRange(), { limit: BATCH });
      const cut = oldest.filter((entry) => {
        const sequence = sequenceOfEvent(entry.key);
        if (sequence === last) return false;
        return sequence <= last - EVENTS_MAX || eventOf(entry).atMs < clock.nowMs() - EVENTS_AGE_MS;
      });
      if (cut.length > 0) {
        const atomic = catalog.begin();
        for (const { key } of cut) atomic.delete(key);
        await catalog.commit(atomic);
      }
      if (cut.length < BATCH) break;
    }
    this.#trimmedAtMs = clock.monotonicMs();
  }

  async #lastSequence(): Promise<number> {
    const [last] = await this.#deps.catalog.kv.list(eventsRange(), { limit: 1, reverse: true });
    return last === undefined ? 0 : sequenceOfEvent(last.key);
  }
}

function eventOf({ key, value }: KvEntry): ClusterEvent {
  return { sequence: sequenceOfEvent(key), ...decodeEvent(value) };
}
