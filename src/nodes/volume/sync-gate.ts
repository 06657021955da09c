/**
 * Group commit: one sync serves everybody who waits for one. A caller gets a sync that started after its call, so
 * whatever it wrote before is covered.
 *
 * After a failed sync nothing more is promised: the kernel may have dropped the pages that it could not write and
 * report success next time. The gate then answers that failure for ever.
 */
export class SyncGate {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Resolves when everything written before the call is durable. @throws what the sync threw */
  sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#run();
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      this.#running = this.#run();
      return this.#running;
    });
    return this.#next;
  }

  async #run(): Promise<void> {
    // A rejection stays in #running, and so in every later call.
    await this.#sync();
    // With a next one waiting it stays set, so that calls until that one starts join it.
    if (this.#next === undefined) this.#running = undefined;
  }
}
