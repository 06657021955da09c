/**
 * The journal of the catalog: every commit, in order, on nodes in a quorum of domains, with a snapshot now and then, so
 * that the catalog can be made again from the nodes alone. docs/formats.md describes the pieces, docs/consistency.md
 * what it promises.
 */
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Random } from "../../shared/random.ts";
import type { Kv } from "../kv.ts";
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
  readonly kv: Kv;
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

  constructor(deps: JournalDeps) {
    const { settings, cluster, kv, clock, logger } = deps;
    this.#settings = settings;
    this.#logger = logger;
    this.holdings = deps.holdings ?? new Holdings();
    const { holdings } = this;
    const writer = new PieceWriter({ cluster, holdings, random: deps.random });
    const { sync, collectMs, timeoutMs } = settings;
    this.#shipper = new Shipper({ kv, cluster, writer, clock, logger, timeoutMs, collectMs: sync ? 0 : collectMs });
    this.#keeper = new Keeper({ cluster, holdings, writer, clock, logger, shipper: this.#shipper });
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

  /** Makes a snapshot when it is time, or at once. Resolves to whether one was made. @throws CatalogError */
  async snapshot(signal: AbortSignal, now = false): Promise<boolean> {
    const due = now || this.#snapshotter.isDue(this.#settings);
    if (due) await this.#snapshotter.run(signal);
    return due;
  }

  /** What there is to say of it, for an operator. */
  status(): JournalStatus {
    const { shippedThrough, lagMs, failure } = this.#shipper;
    return {
      mode: this.#settings.sync ? "sync" : "async",
      durableVersion: shippedThrough,
      lagMs,
      ...(failure === undefined ? {} : { failure: failure.message }),
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

export interface JournalStatus {
  readonly mode: "sync" | "async";
  /** The last commit that is durable in a quorum of domains. */
  readonly durableVersion: number;
  /** Age of the oldest commit that is not, in milliseconds. */
  readonly lagMs: number;
  /** Why it cannot be written now. */
  readonly failure?: string;
  readonly domains: readonly DomainJournal[];
  readonly segments: number;
  readonly bytes: number;
  /** The newest snapshot that a quorum of domains holds. */
  readonly snapshot?: { readonly base: number };
  /** Whether the nodes hold all that a rebuild takes. */
  readonly rebuildable: boolean;
}
