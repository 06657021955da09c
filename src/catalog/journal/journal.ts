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
import type { Gap } from "./chain.ts";
import { lowestCursor } from "./cursors.ts";
import { Holdings } from "./holdings.ts";
import type { JournalCluster } from "./journal-nodes.ts";
import type { CommitJournal } from "./journaled-kv.ts";
import { Keeper } from "./keeper.ts";
import { PieceWriter } from "./piece-writer.ts";
import { Shipper } from "./shipper.ts";
import { Snapshotter } from "./snapshotter.ts";

export interface JournalSettings {
  /** Whether a commit is answered only when it is durable in the journal. */
  readonly sync: boolean;
  /** In `async`: how long commits are collected before they go, in milliseconds. */
  readonly collectMs: number;
  /** How long a commit waits for the journal, in milliseconds. */
  readonly timeoutMs: number;
  /** A snapshot is made when the last one is this old ... */
  readonly snapshotIntervalMs: number;
  /** ... or when the journal behind it has grown to this many bytes. */
  readonly snapshotBytes: number;
}

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
    this.#keeper = new Keeper({
      cluster,
      holdings,
      writer,
      clock,
      logger,
      shipper: this.#shipper,
      lowestCursor: () => lowestCursor(kv),
    });
    this.#snapshotter = new Snapshotter({
      kv,
      cluster,
      holdings,
      writer,
      clock,
      logger,
      shipper: this.#shipper,
      onMaking: (base) => {
        this.#keeper.making = base;
      },
    });
  }

  /**
   * Writes what the store has not handed over yet; from here on, in `sync`, commits wait for the journal.
   * @param session of this process and the commit that began it
   * @throws CatalogError when no node takes it
   */
  async start(session: { readonly number: number; readonly version: number }): Promise<void> {
    this.#snapshotter.session = session.number;
    await this.#shipper.start(session);
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

export interface DomainJournal {
  readonly domain: string;
  /** The last commit up to which its nodes have everything since the oldest snapshot that is kept. */
  readonly through: number;
}

export type SnapshotState = "none" | "requested" | "making";

export interface JournalSummary {
  readonly mode: "sync" | "async";
  /** The last commit that is durable in a quorum of domains. */
  readonly durableVersion: number;
  /** Age of the oldest commit that is not, in milliseconds. */
  readonly lagMs: number;
  /** Commits that are not. */
  readonly lagCommits: number;
  /** Why it cannot be written now. */
  readonly failure?: string;
}

export interface JournalStatus extends JournalSummary {
  /** Since the process started. */
  readonly written: { readonly segments: number; readonly bytes: number; readonly failures: number };
  readonly domains: readonly DomainJournal[];
  /** On the nodes, each counted once. */
  readonly segments: number;
  /** Of all pieces on all nodes. */
  readonly bytes: number;
  /** The newest snapshot that a quorum of domains holds; when it was made, by the wall clock of who made it. */
  readonly snapshot?: { readonly base: number; readonly madeAtMs?: number };
  readonly snapshotState: SnapshotState;
  /** Why the last one could not be made. */
  readonly snapshotFailure?: string;
  /** Whether the nodes hold all that a rebuild takes. */
  readonly rebuildable: boolean;
  /** Commits since the oldest snapshot that is kept which no node holds: the first of the gaps, in order. */
  readonly gaps: readonly Gap[];
  /** In all gaps. */
  readonly missingCommits: number;
  /** Nodes of which it is not known what they hold: until they are listed, gaps may be none. */
  readonly unlisted: readonly string[];
}
