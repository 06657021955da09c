/**
 * Which gateway does the background work. The one that holds the coordinator's lease mints an epoch in the catalog; from
 * then on every commit of background work checks that this epoch is still the last. So the lease only spares gateways
 * doing the same work side by side: nothing is done twice with effect even where two believe that they hold it.
 *
 * Without the coordinator nobody leads: background work pauses, and clients are served as ever.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX, SessionEndedError } from "../catalog/catalog.ts";
import { leaderKey } from "../catalog/keys.ts";
import { CatalogError } from "../catalog/kv.ts";
import { decodeLeader, encodeLeader } from "../catalog/records/leader.ts";
import type { Coordinator, Lease } from "../coordination/coordinator.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock, Timer } from "../shared/clock.ts";
import { toError } from "../shared/errors.ts";

const LEASE = "leader";
/** How long nobody leads, at most, after a leader that did not say goodbye. */
const LEASE_MS = 10_000;
/** How often it is tried to become the leader. */
const RETRY_MS = 2_000;
/** After a failure that is not the coordinator's: the catalog does not take the epoch. */
const MINT_RETRY_MS = 10_000;
/** Told when a leader goes, so that the next one need not wait. */
const CHANNEL = "leader";

/** This process does not lead (any more): another one may do what was about to be done. Nothing was committed. */
export class LeadershipLostError extends Error {
  constructor() {
    super("this gateway does not lead the background work");
    this.name = "LeadershipLostError";
  }
}

export interface LeadershipDeps {
  readonly coordinator: Coordinator;
  readonly catalog: Catalog;
  readonly host: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** From the epoch's commit until the lease is lost or another epoch is found. */
interface Term {
  readonly epoch: number;
  /** Of the commit that minted it. */
  readonly version: number;
  readonly lease: Lease;
  readonly ended: AbortController;
}

export class Leadership implements AsyncDisposable {
  /**
   * The catalog for background work: `begin` fails while this process does not lead, and `commit` when another one
   * minted an epoch since, whatever the lease says; both with a LeadershipLostError.
   */
  readonly catalog: Catalog;
  readonly #deps: LeadershipDeps;
  readonly #listeners = new Set<(leading: boolean) => void>();
  readonly #stopListening: (() => void)[] = [];
  #term: Term | undefined;
  #trying: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
    this.catalog = this.#leadersView(deps.catalog);
  }

  /** Whether this process leads now, as far as the lease tells. */
  get isLeader(): boolean {
    return this.#term?.lease.held === true;
  }

  /** Of the leader that this process is. */
  get epoch(): number | undefined {
    return this.isLeader ? this.#term?.epoch : undefined;
  }

  /** Tries to lead, at once and for as long as nobody does. */
  start(): void {
    const { coordinator } = this.#deps;
    const tryNow = (): void => void this.#try();
    this.#stopListening.push(
      coordinator.onAvailability((available) => available && tryNow()),
      coordinator.subscribe(CHANNEL, tryNow),
    );
    tryNow();
  }

  /** Tells when this process begins to lead, and when it leads no more. @returns what ends the telling */
  onChange(listener: (leading: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A run of background work that is left out while this process does not lead, and whose signal aborts when it leads no
   * more. What such a run fails with then is no failure: whoever leads next does the work.
   */
  whileLeading(run: (signal: AbortSignal) => Promise<void>): (signal: AbortSignal) => Promise<void> {
    return async (signal) => {
      const term = this.#term;
      if (term === undefined || !this.isLeader) return;
      const ended = term.ended.signal;
      try {
        await run(AbortSignal.any([signal, ended]));
      } catch (error) {
        if (!ended.aborted || signal.aborted) throw error;
      }
    };
  }

  /** Gives the lead to whoever wants it. To be called when the background work has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.stop();
    for (const stop of this.#stopListening) stop();
    await this.#trying;
    const term = this.#term;
    if (term === undefined) return;
    this.#lapse(term, "the gateway stops");
    await term.lease.release();
    await this.#deps.coordinator.publish(CHANNEL, "free").catch(() => {});
  }

  #try(): Promise<void> {
    if (this.#stopped || this.#term !== undefined) return Promise.resolve();
    this.#timer?.stop();
    this.#trying ??= this.#tryOnce()
      .then((waitMs) => this.#schedule(waitMs))
      .finally(() => {
        this.#trying = undefined;
      });
    return this.#trying;
  }

  #schedule(waitMs: number): void {
    this.#timer?.stop();
    if (this.#stopped || this.#term !== undefined) return;
    this.#timer = this.#deps.clock.startTimer(waitMs, () => void this.#try());
  }

  /** @returns after what time to try again, where this process does not lead then */
  async #tryOnce(): Promise<number> {
    const { coordinator, logger } = this.#deps;
    let lease: Lease | undefined;
    try {
      lease = await coordinator.acquire(LEASE, LEASE_MS);
    } catch (error) {
      // It tells by itself that it does not answer.
      logger.debug({ err: error }, "the leader's lease could not be asked for");
    }
    if (lease === undefined) return RETRY_MS;
    try {
      this.#begin({ ...(await this.#mint()), lease, ended: new AbortController() });
      return RETRY_MS;
    } catch (error) {
      await lease.release();
      if (error instanceof SessionEndedError) this.#giveUp();
      else logger.warn({ err: error }, "the catalog did not take a leader's epoch; it is tried again");
      return MINT_RETRY_MS;
    }
  }

  /** @throws CatalogError; SessionEndedError */
  async #mint(): Promise<{ readonly epoch: number; readonly version: number }> {
    const { catalog, host } = this.#deps;
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const before = await catalog.kv.get(leaderKey());
      const epoch = before === undefined ? 1 : decodeLeader(before.value).epoch + 1;
      const leader = encodeLeader({ epoch, session: catalog.session, host });
      const atomic = catalog
        .begin()
        .check(leaderKey(), before?.version ?? null)
        .set(leaderKey(), leader);
      const result = await catalog.commit(atomic);
      if (result.committed) return { epoch, version: result.version };
    }
    throw new CatalogError("unavailable", "no epoch could be minted: others always came first");
  }

  #begin(term: Term): void {
    const { lost } = term.lease;
    if (this.#stopped || lost.aborted) {
      void term.lease.release();
      return;
    }
    lost.addEventListener("abort", () => this.#lapse(term, toError(lost.reason).message), { once: true });
    this.#term = term;
    this.#deps.logger.info({ epoch: term.epoch }, "this gateway leads the background work");
    this.#tell(true);
  }

  #lapse(term: Term, cause: string): void {
    if (this.#term !== term) return;
    this.#term = undefined;
    const { epoch } = term;
    if (this.#stopped) this.#deps.logger.info({ epoch, cause }, "this gateway leads no more");
    else this.#deps.logger.warn({ epoch, cause }, "this gateway leads no more; its background work pauses");
    term.ended.abort(new LeadershipLostError());
    this.#tell(false);
    this.#schedule(RETRY_MS);
  }

  #tell(leading: boolean): void {
    for (const listener of this.#listeners) listener(leading);
  }

  #leadersView(catalog: Catalog): Catalog {
    const { kv, clusterId, session, sessionVersion } = catalog;
    return {
      kv,
      clusterId,
      session,
      sessionVersion,
      journaledVersion: () => catalog.journaledVersion(),
      begin: () => {
        if (this.#term === undefined || !this.isLeader) throw new LeadershipLostError();
        return catalog.begin().check(leaderKey(), this.#term.version);
      },
      commit: async (atomic) => {
        const result = await catalog.commit(atomic).catch((error: unknown) => {
          if (error instanceof SessionEndedError) this.#giveUp();
          throw error;
        });
        if (result.committed || Buffer.compare(result.failed, leaderKey()) !== 0) return result;
        await this.#confirm();
        throw new LeadershipLostError();
      },
    };
  }

  /** For good: a process whose session was ended can commit nothing, and must not keep the lease from those that can. */
  #giveUp(): void {
    const term = this.#term;
    if (term !== undefined) this.#lapse(term, "the session of this process was ended");
    this.#stopped = true;
    this.#timer?.stop();
    void term?.lease.release();
  }

  /** Ends the term if the catalog has a later epoch. A commit may have failed that was begun in an earlier term. */
  async #confirm(): Promise<void> {
    const term = this.#term;
    if (term === undefined) return;
    const entry = await this.#deps.catalog.kv.get(leaderKey());
    if (entry?.version === term.version) return;
    this.#lapse(term, "another gateway minted a later epoch");
    await term.lease.release();
  }
}
