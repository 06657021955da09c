/**
 * Hands every event to a URL, in order, each at least once: the cursor in the catalog moves after the receiver has said
 * that it has it. While the receiver does not, events wait in the log, which is what bounds them.
 */
import type { Catalog } from "../../catalog/catalog.ts";
import { eventCursorKey } from "../../catalog/keys.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock, Timer } from "../../shared/clock.ts";
import type { ClusterEvent, EventLog } from "./event.ts";
import { decodeEventCursor, encodeEventCursor } from "./event-record.ts";

const CURSOR = "webhook";
const PAGE = 100;
/** Wait after a failure, doubled with each further one. */
const BACKOFF_MS = 1_000;
const BACKOFF_MS_MAX = 300_000;
/** How often new events are looked for besides being told of them. */
const POLL_MS = 10_000;

export interface WebhookDeps {
  readonly catalog: Catalog;
  readonly events: Pick<EventLog, "list" | "follow">;
  /** Resolves when the receiver has taken the event; rejects for whatever else became of it. Bounds its own time. */
  readonly deliver: (event: ClusterEvent, signal: AbortSignal) => Promise<void>;
  /** Whether this gateway is the one that does it now. */
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class EventWebhook implements AsyncDisposable {
  readonly #deps: WebhookDeps;
  readonly #stopped = new AbortController();
  #unfollow: (() => void) | undefined;
  #failures = 0;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#unfollow = this.#deps.events.follow(() => {
      // One that does not take events is not asked more often for there being more of them.
      if (this.#failures === 0) this.#wake();
    });
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#unfollow?.();
    this.#timer?.stop();
    await this.#running;
  }

  #wake(): void {
    if (this.#stopped.signal.aborted) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.stop();
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#stopped.signal.aborted) return;
      const again = this.#again && this.#failures === 0;
      this.#again = false;
      if (again) this.#wake();
      else this.#timer = this.#deps.clock.startTimer(this.#delayMs(), () => this.#wake());
    });
  }

  #delayMs(): number {
    return this.#failures === 0 ? POLL_MS : Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (this.#failures - 1));
  }

  async #run(): Promise<void> {
    const { isLeader, logger } = this.#deps;
    if (!isLeader()) return;
    try {
      await this.#deliverAll();
      this.#failures = 0;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.#failures += 1;
      logger.warn({ err: error, failures: this.#failures }, "an event could not be handed to the webhook");
    }
  }

  async #deliverAll(): Promise<void> {
    const { catalog, events, deliver, isLeader } = this.#deps;
    const key = eventCursorKey(CURSOR);
    for (;;) {
      const entry = await catalog.kv.get(key);
      const after = entry === undefined ? await this.#begin() : decodeEventCursor(entry.value);
      if (after === undefined) continue;
      const page = await events.list({ after, limit: PAGE });
      let version = entry?.version ?? null;
      for (const event of page) {
        if (this.#stopped.signal.aborted || !isLeader()) return;
        await deliver(event, this.#stopped.signal);
        const moved = await catalog.commit(
          catalog.begin().check(key, version).set(key, encodeEventCursor(event.sequence)),
        );
        // Another gateway delivers: it goes on from where it is.
        if (!moved.committed) return;
        version = moved.version;
        this.#failures = 0;
      }
      if (page.length === 0) return;
    }
  }

  /** A receiver that is new hears of what happens from now on. */
  async #begin(): Promise<number | undefined> {
    const { catalog, events } = this.#deps;
    const [newest] = await events.list({ limit: 1 });
    const sequence = newest?.sequence ?? 0;
    const key = eventCursorKey(CURSOR);
    await catalog.commit(catalog.begin().check(key, null).set(key, encodeEventCursor(sequence)));
    return undefined;
  }
}
