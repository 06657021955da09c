/**
 * The journal of the catalog: every commit, in order, on nodes in a quorum of domains, with a snapshot now and then, so
 * that the catalog can be made again from the nodes alone. docs/formats.md describes the pieces, docs/consistency.md
 * what it promises.
 */
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import type { Random } from "../../shared/random.ts";
import type { KvStore } from "../kv.ts";
import { lowestCursor } from "./cursors.ts";
import { Holdings } from "./holdings.ts";
import type { HeldPiece, JournalCluster, JournalNode } from "./journal-nodes.ts";
import type { JournalSettings } from "./journal-settings.ts";
import type { JournalStatus, JournalSummary, SnapshotState } from "./journal-status.ts";
import type { CommitJournal } from "./journaled-kv.ts";
import { Keeper } from "./keeper.ts";
import { PieceWriter } from "./piece-writer.ts";
import { Shipper } from "./shipper.ts";
import { Snapshotter } from "./snapshotter.ts";

export type { JournalSettings } from "./journal-settings.ts";

export interface JournalDeps {
  /** The store itself. */
  readonly kv: KvStore;
  readonly cluster: JournalCluster;
  /** What is known of the nodes already. */
  readonly holdings?: Holdings;
  readonly settings: JournalSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export class Journal implements CommitJournal, AsyncDisposable {
  readonly holdings: Holdings;
  readonly #settings: JournalSettings;
  readonly #logger: Logger;
  readonly #shipper: Shipper;
  readonly #keeper: Keeper;
  readonly #snapshotter: Snapshotter;
  #started = false;
  #snapshotState: SnapshotState = "none";
  #snapshotFailure: Error | undefined;

  constructor(deps: JournalDeps) {
    const { settings, cluster, kv, clock, logger } = deps;
    this.#settings = settings;
    this.#logger = logger;
    this.holdings = deps.holdings ?? new Holdings();
    const { holdings } = this;
    const writer = new PieceWriter({ cluster, holdings, random: deps.random });
    const { sync, collectMs, timeoutMs } = settings;
    this.#shipper = new Shipper({ kv, cluster, writer, clock, logger, timeoutMs, collectMs: sync ? 0 : collectMs });
    const shared = { cluster, holdings, writer, clock, logger, shipper: this.#shipper };
    this.#keeper = new Keeper({ ...shared, lowestCursor: () => lowestCursor(kv) });
    this.#snapshotter = new Snapshotter({
      ...shared,
      kv,
      onMaking: (base) => {
        this.#keeper.making = base;
      },
      onFollowed: (made) => {
        this.#keeper.tellReach();
        this.#shipper.follow(made);
      },
    });
  }

  /**
   * Writes what the store has not handed over yet; from here on, in `sync`, commits wait for the journal.
   * @param session of this process and the commit that began it
   * @throws CatalogError when no node takes it
   */
  async start(session: { readonly number: number; readonly version: number }): Promise<void> {
    const { signal } = new AbortController();
    this.#snapshotter.session = session.number;
    await this.#shipper.prepare(session);
    // What a rebuild was made from may be in one domain alone: before anybody builds on it, it goes to the others.
    await this.#keeper.complete(signal);
    if (this.#snapshotter.broken) await this.#snapshotter.run(signal);
    await this.#shipper.start();
    this.#started = true;
  }

  get sync(): boolean {
    return this.#settings.sync && this.#started;
  }

  get shippedThrough(): number {
    return this.#shipper.shippedThrough;
  }

  get failure(): Error | undefined {
    return this.#shipper.failure;
  }

  committed(version: number): void {
    this.#shipper.committed(version);
  }

  shipped(version: number): Promise<void> {
    return this.#shipper.shipped(version);
  }

  /** Resolves when all that is committed now is durable in the journal. @throws CatalogError */
  flush(): Promise<void> {
    return this.#shipper.flush();
  }

  /** One run of the upkeep: gaps are filled, small segments merged, what a snapshot covers is removed. */
  keep(signal: AbortSignal): Promise<void> {
    return this.#keeper.run(signal);
  }

  /** The next call of `snapshot` makes one. Whether that is new: none was asked for or being made. */
  requestSnapshot(): boolean {
    if (this.#snapshotState !== "none") return false;
    this.#snapshotState = "requested";
    return true;
  }

  /**
   * Makes a snapshot when it is time or was asked for, or at once; never two at a time. Resolves to whether one was
   * made. @throws CatalogError; NotDurableError
   */
  async snapshot(signal: AbortSignal, now = false): Promise<boolean> {
    if (this.#snapshotState === "making") return false;
    if (!now && this.#snapshotState === "none" && !this.#snapshotter.isDue(this.#settings)) return false;
    this.#snapshotState = "making";
    this.#snapshotFailure = undefined;
    try {
      await this.#snapshotter.run(signal);
      return true;
    } catch (error) {
      this.#snapshotFailure = toError(error);
      throw error;
    } finally {
      this.#snapshotState = "none";
    }
  }

  /** A copy of a piece was found to be damaged. */
  replaceDamaged(holder: JournalNode, piece: HeldPiece): Promise<void> {
    return this.#keeper.replaceDamaged(holder, piece);
  }

  /** What is on the nodes stays there until the answer is disposed of. */
  hold(): Promise<Disposable> {
    return this.#keeper.hold();
  }

  /** In short, at no cost. */
  summary(): JournalSummary {
    const { shippedThrough, lagMs, lagCommits, failure } = this.#shipper;
    return {
      mode: this.#settings.sync ? "sync" : "async",
      durableVersion: shippedThrough,
      lagMs,
      lagCommits,
      ...(failure === undefined ? {} : { failure: failure.message }),
    };
  }

  /** What there is to say of it, for an operator. Takes a walk over the names of all pieces. */
  status(): JournalStatus {
    return {
      ...this.summary(),
      written: {
        segments: this.#shipper.segmentsShipped,
        bytes: this.#shipper.bytesShipped,
        failures: this.#shipper.failures,
      },
      snapshotState: this.#snapshotState,
      ...(this.#snapshotFailure === undefined ? {} : { snapshotFailure: this.#snapshotFailure.message }),
      ...this.#keeper.status(),
    };
  }

  /** Hands over what is left, if the nodes take it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#started && this.failure === undefined) {
      await this.flush().catch((error: unknown) => {
        this.#logger.warn({ err: error }, "the journal could not be brought to its end");
      });
    }
    await this.#shipper[Symbol.asyncDispose]();
  }
}
