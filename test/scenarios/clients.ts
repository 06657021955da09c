/**
 * Clients at work while something happens to the cluster: a fixed number of them, each with one request at a time and no
 * pause (a closed loop), half of them writes. Every answer that is not what it must be is a failure.
 */
import { inParallel } from "../support/in-parallel.ts";
import { seeded } from "../support/seeded.ts";
import { Samples } from "./figures.ts";
import type { Objects } from "./objects.ts";

/** One write in so many replaces an object of the same client. */
const REPLACE_EVERY = 4;
const FAILURES_MAX = 20;

export interface ClientsOptions {
  readonly objects: Objects;
  readonly seed: number;
  readonly count: number;
  /** Objects that are there from the start; nobody changes them. */
  readonly loaded: readonly string[];
}

export class Clients {
  readonly samples = new Samples();
  /** What went wrong, in words; the first of them. */
  readonly failures: string[] = [];
  readonly #options: ClientsOptions;
  /** The revision of each object that was written here. */
  readonly #written = new Map<string, number>();
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#running = Promise.all(Array.from({ length: options.count }, (_, number) => this.#run(number)));
  }

  get written(): number {
    return this.#written.size;
  }

  /** Resolves when all have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Reads every object, those that were loaded and those that were written. */
  async verify(width: number): Promise<void> {
    await verifyAll(this.#options, width, (what) => this.#failed(what));
    await inParallel(width, this.#written, ([key, revision]) =>
      this.#attempt(() => this.#options.objects.check(key, revision)),
    );
  }

  async #run(number: number): Promise<void> {
    const { objects, seed, loaded } = this.#options;
    const choices = seeded(seed + number * 7919);
    let own = 0;
    for (let round = 0; !this.#stopped; round++) {
      const replaces = own > 0 && round % REPLACE_EVERY === REPLACE_EVERY - 1;
      const key = `client-${number}/${replaces ? choices.below(own) : own++}`;
      const revision = (this.#written.get(key) ?? 0) + 1;
      await this.#timed(async () => {
        await objects.put(key, revision);
        this.#written.set(key, revision);
      });
      await this.#timed(() => objects.check(loaded[choices.below(loaded.length)] ?? "", 1));
    }
  }

  async #timed(operation: () => Promise<void>): Promise<void> {
    const beganMs = performance.now();
    await this.#attempt(operation);
    const endedMs = performance.now();
    this.samples.add(endedMs, endedMs - beganMs);
  }

  async #attempt(operation: () => Promise<void>): Promise<void> {
    await operation().catch((error: unknown) => this.#failed(String(error)));
  }

  #failed(what: string): void {
    if (this.failures.length < FAILURES_MAX) this.failures.push(what);
  }
}

/** Reads all objects that were loaded, once. */
export async function verifyAll(
  { objects, loaded }: Pick<ClientsOptions, "objects" | "loaded">,
  width: number,
  failed: (what: string) => void,
): Promise<void> {
  await inParallel(width, loaded, (key) => objects.check(key, 1).catch((error: unknown) => failed(String(error))));
}
