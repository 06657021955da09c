/**
 * The connections of one process to Redis, and whether it answers. A call is sent only while it does: else every part of
 * the gateway would wait for its own time-out, over and over.
 */
import { Redis } from "ioredis";
import type { Logger } from "../../observability/logger.ts";
import type { Clock, Timer } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import { CoordinatorError } from "../coordinator.ts";
import { callOptions, type RedisSettings, redisOptions } from "./redis-options.ts";

/** Between the end of one sign of life and the next. */
const HEARTBEAT_MS = 1_000;
/** After so many heartbeats without a connection, and without a failure of one, that is a failure. */
const CONNECTING_BEATS_MAX = 5;
/** Failures that are logged between two times that it answers. */
const LOGGED_FAILURES_MAX = 10;
/** How long the key is kept that a heartbeat writes. */
const HEARTBEAT_KEY_MS = 60_000;

export interface RedisConnectionOptions {
  readonly settings: RedisSettings;
  /** Written to find out whether Redis takes writes; a replica, or one that is full, does not. */
  readonly heartbeatKey: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #calls: Redis;
  readonly #events: Redis;
  readonly #listeners = new Set<(available: boolean) => void>();
  #available = false;
  /** Since it answered last: each failure is logged once. A connection that is refused may later be denied. */
  readonly #loggedFailures = new Set<string>();
  #beatsWithoutConnection = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    const shared = redisOptions(options.settings);
    this.#calls = new Redis(callOptions(shared));
    // Whoever listens is subscribed at each connection anew: one that failed to be would else stay deaf.
    this.#events = new Redis({ ...shared, autoResubscribe: false });
    this.#calls.on("error", (error: unknown) => this.#failed(error));
    this.#calls.on("close", () => this.#failed(new Error("the connection is closed")));
    this.#calls.on("ready", () => void this.#beat());
    // What goes wrong there goes wrong here too, and is told here.
    this.#events.on("error", () => {});
  }

  get available(): boolean {
    return this.#available;
  }

  /** Begins to connect, and to try again whenever that fails. */
  start(): void {
    this.#calls.connect().catch((error: unknown) => this.#failed(error));
    this.#events.connect().catch(() => {});
    this.#schedule();
  }

  onAvailability(listener: (available: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws CoordinatorError `unavailable` */
  async call<T>(run: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.#available) throw unavailable("the coordinator does not answer");
    try {
      return await run(this.#calls);
    } catch (error) {
      // An error that Redis answers with is this call's alone.
      if (!isReply(error)) this.#failed(error);
      throw unavailable("the coordinator failed a call", error);
    }
  }

  /** Has every connection that there will be subscribe to the channels that there are then. */
  listen(channels: () => Iterable<string>, onMessage: (channel: string, message: string) => void): void {
    this.#events.on("ready", () => {
      for (const channel of channels()) this.subscribe(channel);
    });
    this.#events.on("message", onMessage);
  }

  subscribe(channel: string): void {
    if (this.#events.status !== "ready") return;
    this.#events.subscribe(channel).catch(() => {
      if (!this.#closed) this.#events.disconnect(true);
    });
  }

  unsubscribe(channel: string): void {
    // Where that fails, its messages find nobody.
    if (this.#events.status === "ready") this.#events.unsubscribe(channel).catch(() => {});
  }

  close(): void {
    this.#closed = true;
    this.#timer?.stop();
    this.#setAvailable(false);
    this.#calls.disconnect();
    this.#events.disconnect();
  }

  #schedule(): void {
    this.#timer?.stop();
    if (this.#closed) return;
    this.#timer = this.#options.clock.startTimer(HEARTBEAT_MS, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    this.#timer?.stop();
    if (this.#calls.status === "ready") {
      try {
        await this.#calls.set(this.#options.heartbeatKey, "1", "PX", HEARTBEAT_KEY_MS);
        this.#answered();
      } catch (error) {
        this.#failed(error);
      }
    } else if (++this.#beatsWithoutConnection === CONNECTING_BEATS_MAX && this.#loggedFailures.size === 0) {
      this.#failed(new Error("a connection does not come about"));
    }
    this.#schedule();
  }

  #answered(): void {
    if (this.#closed || this.#available) return;
    this.#loggedFailures.clear();
    this.#beatsWithoutConnection = 0;
    this.#options.logger.info({}, "the coordinator answers");
    this.#setAvailable(true);
  }

  #failed(thrown: unknown): void {
    if (this.#closed) return;
    const failure = messageOf(thrown);
    if (!this.#loggedFailures.has(failure) && this.#loggedFailures.size < LOGGED_FAILURES_MAX) {
      this.#loggedFailures.add(failure);
      this.#options.logger.warn({ failure }, "the coordinator does not answer; background work pauses until it does");
    }
    if (!this.#available) return;
    this.#setAvailable(false);
    // That connection may be dead without anybody having noticed: nothing is sent on it.
    this.#events.disconnect(true);
  }

  #setAvailable(available: boolean): void {
    if (this.#available === available) return;
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
  }
}

/** Without what ioredis adds to its errors: the command that failed may be the one that holds the password. */
function unavailable(message: string, thrown?: unknown): CoordinatorError {
  const cause = thrown === undefined ? {} : { cause: new Error(messageOf(thrown)) };
  return new CoordinatorError("unavailable", message, cause);
}

function messageOf(thrown: unknown): string {
  const { message, name } = toError(thrown);
  // An error of several attempts to connect has none of its own.
  return message === "" ? name : message;
}

function isReply(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "ReplyError";
}
