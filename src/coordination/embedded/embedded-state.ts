/** What an embedded coordinator keeps: in memory, for as long as the process lives. */
import type { Clock } from "../../shared/clock.ts";
import { CoordinatorError, type SharedRate } from "../coordinator.ts";
import { HISTORY_MS, NAMES_MAX, SAMPLES_MAX, STATES_LISTED_MAX } from "../limits.ts";

interface HeldBy {
  readonly holder: object;
  /** Monotonic. */
  readonly untilMs: number;
}

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
  readonly rate: SharedRate;
}

interface Expiring {
  readonly text: string;
  readonly untilMs: number;
}

interface KeptSample {
  readonly atMs: number;
  readonly text: string;
}

/** May be shared by several embedded coordinators, as tests and the simulation do. Time is the first one's. */
export class EmbeddedState {
  readonly #clock: Clock;
  readonly #leases = new Map<string, HeldBy>();
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #states = new Map<string, Expiring>();
  readonly #series = new Map<string, KeptSample[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Forgets what it keeps, as an emptied server does; who listens goes on listening. */
  clear(): void {
    for (const kept of [this.#leases, this.#buckets, this.#states, this.#series]) kept.clear();
  }

  /** Whether `holder` has the lease now. */
  acquire(name: string, holder: object, ttlMs: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    const current = this.#leases.get(name);
    if (current !== undefined && current.untilMs > nowMs) return false;
    this.#makeRoom(this.#leases, name, ({ untilMs }) => untilMs <= nowMs);
    this.#leases.set(name, { holder, untilMs: nowMs + ttlMs });
    return true;
  }

  /** Whether it still was the holder's. */
  renew(name: string, holder: object, ttlMs: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    const current = this.#leases.get(name);
    if (current?.holder !== holder || current.untilMs <= nowMs) return false;
    this.#leases.set(name, { holder, untilMs: nowMs + ttlMs });
    return true;
  }

  release(name: string, holder: object): void {
    if (this.#leases.get(name)?.holder === holder) this.#leases.delete(name);
  }

  publish(channel: string, message: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) queueMicrotask(() => listener(message));
  }

  subscribe(channel: string, listener: (message: string) => void): () => void {
    // One listener may be given twice, and each is to end by itself.
    const own = (message: string): void => listener(message);
    const all = this.#listeners.get(channel) ?? new Set();
    this.#makeRoom(this.#listeners, channel, (listeners) => listeners.size === 0);
    this.#listeners.set(channel, all.add(own));
    return () => {
      all.delete(own);
      if (all.size === 0 && this.#listeners.get(channel) === all) this.#listeners.delete(channel);
    };
  }

  take(name: string, amount: number, rate: SharedRate): number {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#buckets.get(name);
    const had = before === undefined ? rate.burst : refilled(before, rate, nowMs);
    this.#makeRoom(this.#buckets, name, (bucket) => refilled(bucket, bucket.rate, nowMs) >= bucket.rate.burst);
    const taken = had >= amount;
    this.#buckets.set(name, { tokens: taken ? had - amount : had, atMs: nowMs, rate });
    return taken ? 0 : Math.max(1, Math.ceil(((amount - had) / rate.perSecond) * 1000));
  }

  putState(name: string, text: string, ttlMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#makeRoom(this.#states, name, ({ untilMs }) => untilMs <= nowMs);
    this.#states.set(name, { text, untilMs: nowMs + ttlMs });
  }

  dropState(name: string): void {
    this.#states.delete(name);
  }

  states(prefix: string): [name: string, text: string][] {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, { untilMs }] of this.#states) if (untilMs <= nowMs) this.#states.delete(name);
    return [...this.#states]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { text }]): [string, string] => [name, text])
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .slice(0, STATES_LISTED_MAX);
  }

  addSample(series: string, text: string): void {
    const nowMs = this.#clock.nowMs();
    const isOld = ({ atMs }: KeptSample): boolean => atMs < nowMs - HISTORY_MS;
    this.#makeRoom(this.#series, series, (samples) => samples.every(isOld));
    const kept = (this.#series.get(series) ?? []).filter((sample) => !isOld(sample));
    this.#series.set(series, [...kept, { atMs: nowMs, text }].slice(-SAMPLES_MAX));
  }

  samples(series: string, sinceMs: number): KeptSample[] {
    const fromMs = Math.max(sinceMs, this.#clock.nowMs() - HISTORY_MS);
    return (this.#series.get(series) ?? []).filter(({ atMs }) => atMs >= fromMs);
  }

  /** @throws CoordinatorError where the map is full of what is still needed */
  #makeRoom<T>(map: Map<string, T>, added: string, isSpent: (value: T) => boolean): void {
    if (map.size < NAMES_MAX || map.has(added)) return;
    for (const [name, value] of map) if (isSpent(value)) map.delete(name);
    if (map.size >= NAMES_MAX) throw new CoordinatorError("invalid", "the coordinator keeps as many names as it may");
  }
}

function refilled({ tokens, atMs }: Bucket, { perSecond, burst }: SharedRate, nowMs: number): number {
  return Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond);
}
