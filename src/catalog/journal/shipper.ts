/**
 * Carries the changes of the store to the nodes, in order: what has come in while one segment is made durable goes into
 * the next.
 */
import type { Logger } from "../../observability/logger.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import { CatalogError, ChangesForgottenError, type KvChange, type KvStore } from "../kv.ts";
import { SEGMENT_COMMITS_MAX } from "./journal-name.ts";
import type { JournalCluster } from "./journal-nodes.ts";
import type { PieceWriter } from "./piece-writer.ts";
import { encodeSegment } from "./pieces.ts";
import { VersionGate } from "./version-gate.ts";

/** Bytes of changes in one segment, about. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Wait before another attempt after the first that failed; each further one doubles it. */
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 5_000;

export interface ShipperDeps {
  readonly kv: KvStore;
  readonly cluster: JournalCluster;
  readonly writer: PieceWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long changes are collected before they go; 0 sends them at once. */
  readonly collectMs: number;
  /** Whoever waits for the journal longer than this is told that the outcome is unknown. */
  readonly timeoutMs: number;
}

export class Shipper implements AsyncDisposable {
  readonly #deps: ShipperDeps;
  readonly #gate: VersionGate;
  readonly #stop = new AbortController();
  #session = 0;
  /** The first commit of our own session. */
  #began = 0;
  /** The last commit that a segment, or the snapshot that the segments follow, has: the next segment begins behind it. */
  #sent = 0;
  /** Before the segments reach this commit, the snapshot that they follow cannot be used. */
  #usableFrom = 0;
  #committed = 0;
  #committedAtMs = 0;
  #bytesShipped = 0;
  #segmentsShipped = 0;
  #failures = 0;
  #failure: Error | undefined;
  #wake: () => void = () => {};
  /** Up to this commit nothing is collected first. */
  #hurryThrough = 0;
  /** By domain: the last commit to which its nodes have the journal without a gap, as far as is known. */
  readonly #reach = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(deps: ShipperDeps) {
    this.#deps = deps;
    this.#gate = new VersionGate(deps.clock, deps.timeoutMs, () => {
      const message = "the journal could not be made durable in time";
      return new CatalogError("unknown-outcome", message, { cause: this.#failure });
    });
  }

  /**
   * Learns from the store what is to be shipped; nothing is before `start`.
   * @param session of this process, and the commit that began it. What was committed before goes under the session
   *   before, whose process did not come to it.
   * @throws CatalogError
   */
  async prepare(session: { readonly number: number; readonly version: number }): Promise<void> {
    const { kv } = this.#deps;
    this.#session = session.number;
    this.#began = session.version;
    this.#sent = await oldestKept(kv);
    this.#gate.advance(this.#sent);
    this.committed(await kv.version());
  }

  /** Ships from now on. Resolves when all that the store has on record is durable. @throws CatalogError */
  async start(): Promise<void> {
    this.#running = this.#run();
    await this.flush();
  }

  /**
   * The segments follow a snapshot now that is durable in a quorum, and that shows some of what was committed up to
   * `through`. What was committed up to `base` needs no segment any more.
   */
  follow({ base, through }: { readonly base: number; readonly through: number }): void {
    this.#sent = Math.max(this.#sent, base);
    this.#usableFrom = Math.max(this.#usableFrom, through);
    this.#advance();
  }

  /**
   * Tells to which commit a domain's nodes have the journal without a gap. A segment behind a gap is of no use without
   * the other domains, so a domain that lacks something counts for no quorum until that was copied to it.
   */
  reaches(domain: string, version: number): void {
    this.#reach.set(domain, version);
  }

  /** The last commit that is durable in the journal. */
  get shippedThrough(): number {
    return this.#gate.reached;
  }

  /** Why the last attempt failed, if it did: while it is set, nothing can be made durable. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Bytes of segments since the process started. */
  get bytesShipped(): number {
    return this.#bytesShipped;
  }

  /** Segments since the process started. */
  get segmentsShipped(): number {
    return this.#segmentsShipped;
  }

  /** Attempts since the process started that failed. */
  get failures(): number {
    return this.#failures;
  }

  /** Commits that the journal does not have yet. */
  get lagCommits(): number {
    return Math.max(0, this.#committed - this.#gate.reached);
  }

  /** Age of the oldest commit that is not in the journal, in milliseconds; 0 when there is none. */
  get lagMs(): number {
    return this.#committed > this.#gate.reached ? this.#deps.clock.monotonicMs() - this.#committedAtMs : 0;
  }

  /** A commit happened that the journal is to have. */
  committed(version: number): void {
    if (version <= this.#committed) return;
    if (this.#committed <= this.#gate.reached) this.#committedAtMs = this.#deps.clock.monotonicMs();
    this.#committed = version;
    this.#wake();
  }

  /**
   * Resolves when the commit is durable in the journal.
   * @throws CatalogError `unknown-outcome` after the timeout, and at once when it is closed
   */
  shipped(version: number): Promise<void> {
    return this.#gate.wait(version);
  }

  /** Resolves when all that is committed now is durable in the journal. @throws CatalogError */
  async flush(): Promise<void> {
    const version = await this.#deps.kv.version();
    this.committed(version);
    if (version <= this.#gate.reached) return;
    this.#hurryThrough = version;
    this.#wake();
    await this.#gate.wait(version);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
    // What waits is in the store: the next process hands it over, if it finds the store.
    this.#gate.fail(new CatalogError("unknown-outcome", "the journal was closed before it had the commit"));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let retryMs = RETRY_MIN_MS;
    while (!signal.aborted) {
      try {
        if (this.#committed <= this.#sent) await this.#woken();
        if (this.#mayCollect()) await this.#collect();
        if (!signal.aborted && this.#committed > this.#sent) await this.#ship();
        this.#failure = undefined;
        retryMs = RETRY_MIN_MS;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#failure === undefined) this.#deps.logger.warn({ err: error }, "the journal could not be written");
        this.#failure = toError(error);
        this.#failures += 1;
        await sleep(this.#deps.clock, retryMs, signal).catch(() => {});
        retryMs = Math.min(RETRY_MAX_MS, 2 * retryMs);
      }
    }
  }

  /** Resolves when there is something to do. */
  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#committed > this.#sent || this.#stop.signal.aborted) resolve();
    });
  }

  #mayCollect(): boolean {
    return this.#deps.collectMs > 0 && this.#hurryThrough <= this.#gate.reached && !this.#stop.signal.aborted;
  }

  #collect(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.startTimer(this.#deps.collectMs, resolve);
      this.#wake = () => {
        if (this.#mayCollect()) return;
        timer.stop();
        resolve();
      };
    });
  }

  async #ship(): Promise<void> {
    const { cluster, writer, clock } = this.#deps;
    const after = this.#sent;
    const changes = this.#ofOneSession(await this.#changes(after));
    // A snapshot that was made meanwhile has them.
    if (this.#sent > after) return;
    const through = changes.at(-1)?.version;
    if (through === undefined) throw new CatalogError("unavailable", "commits are missing in the store's changes");
    const origin = { clusterId: cluster.clusterId, madeAtMs: clock.nowMs() };
    const name = { kind: "segment", from: after + 1, through, session: this.#sessionOf(through) } as const;
    const bytes = encodeSegment({ ...origin, ...name, changes });
    await writer.write(name, bytes, (domain) => {
      const reach = this.#reach.get(domain) ?? 0;
      if (reach < after) return false;
      this.#reach.set(domain, Math.max(reach, through));
      return true;
    });
    this.#bytesShipped += bytes.length;
    this.#segmentsShipped += 1;
    if (through < this.#committed) this.#committedAtMs = clock.monotonicMs();
    this.#sent = Math.max(this.#sent, through);
    this.#advance();
  }

  #advance(): void {
    if (this.#sent < this.#usableFrom) return;
    this.#gate.advance(this.#sent);
    this.#deps.kv.forgetChanges(this.#sent);
  }

  async #changes(after: number): Promise<KvChange[]> {
    try {
      return await this.#deps.kv.changes(after, SEGMENT_BYTES);
    } catch (error) {
      if (error instanceof ChangesForgottenError && this.#sent > after) return [];
      throw error;
    }
  }

  #ofOneSession(changes: KvChange[]): KvChange[] {
    const [first] = changes;
    if (first === undefined) return [];
    const session = this.#sessionOf(first.version);
    return changes.slice(0, SEGMENT_COMMITS_MAX).filter(({ version }) => this.#sessionOf(version) === session);
  }

  #sessionOf(version: number): number {
    return version < this.#began ? this.#session - 1 : this.#session;
  }
}

/** The commit after which a store has all changes on record. */
async function oldestKept(kv: KvStore): Promise<number> {
  try {
    await kv.changes(0, 1);
    return 0;
  } catch (error) {
    if (error instanceof ChangesForgottenError) return error.keptAfter;
    throw error;
  }
}
