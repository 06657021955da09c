/**
 * Verifies the catalog while it is in use: whether the journal on the nodes is whole, says what the catalog holds, and
 * would do for a rebuild; and whether the nodes hold the copies on record. Damaged pieces are replaced, all else is only told. One piece or page at a time
 * is in memory, and it rests as long as it works.
 */
import { NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import type { Id } from "../../shared/ids.ts";
import type { KvStore } from "../kv.ts";
import { compareWithJournal } from "./compare-live.ts";
import type { DurableChanges } from "./durable-changes.ts";
import { Holdings } from "./holdings.ts";
import { type HeldPiece, type JournalCluster, type JournalNode, readPiece } from "./journal-nodes.ts";
import { identityOf, JournalReader } from "./journal-reader.ts";
import { BadPieceError, checkPiece } from "./pieces.ts";
import { NothingToReplayError, type Replayed, replay } from "./replay.ts";
import { Retention } from "./retention.ts";
import { type DomainPieces, insufficientSets, suffices } from "./sufficiency.ts";
import type { Finding, NodeCounts, Verification } from "./verification.ts";

/** Findings that are told one by one. */
const FINDINGS_MAX = 100;
/** Bytes of pieces read a second, at most. */
const READ_BYTES_PER_SECOND = 64 * 1024 * 1024;

/** Where the journal is replayed to. One at a time. */
export interface ScratchStore {
  /** An empty store, in place of the one before, which is closed. */
  open(): Promise<KvStore>;
  /** Whether there is room for it to grow. */
  hasRoom(): boolean;
  /** Removes what the stores left, which are closed. */
  remove(): Promise<void>;
}

export interface VerifierDeps {
  /** The store itself. */
  readonly kv: KvStore;
  readonly cluster: JournalCluster;
  readonly journal: {
    readonly shippedThrough: number;
    flush(): Promise<void>;
    hold(): Promise<Disposable>;
    replaceDamaged(holder: JournalNode, piece: HeldPiece): Promise<void>;
  };
  readonly changes: Pick<DurableChanges, "after">;
  readonly scratch: ScratchStore;
  /** Compares what a node lists with what is on record of it. @throws NodeError */
  readonly compareNode?: (uuid: Id, signal: AbortSignal) => Promise<NodeCounts>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The replayed journal takes too much of the disk that the catalog needs. */
class NoRoomError extends Error {
  constructor() {
    super("there is no room on the catalog's disk to replay the journal");
    this.name = "NoRoomError";
  }
}

export class Verifier implements AsyncDisposable {
  readonly #deps: VerifierDeps;
  readonly #stop = new AbortController();
  #state: Verification | undefined;
  #running: Promise<void> | undefined;
  #restedAtMs = 0;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  /** Begins a verification. Whether it did: false while one runs, and once disposed of. */
  start(): boolean {
    if (this.#running !== undefined || this.#stop.signal.aborted) return false;
    const { clock, journal } = this.#deps;
    this.#state = {
      startedAtMs: clock.nowMs(),
      step: "listing",
      done: 0,
      durableVersion: journal.shippedThrough,
      pieces: 0,
      entries: 0,
      domains: [],
      nodes: [],
      notAsked: [],
      findings: [],
      findingCount: 0,
    };
    this.#running = this.#runToEnd().finally(() => {
      this.#running = undefined;
    });
    return true;
  }

  /** The one under way, or the last one; undefined before the first. */
  get state(): Verification | undefined {
    return this.#state;
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #runToEnd(): Promise<void> {
    const { clock, logger } = this.#deps;
    try {
      await this.#run(this.#stop.signal);
    } catch (error) {
      const failure = this.#stop.signal.aborted ? "the gateway stopped" : toError(error).message;
      this.#tell({ failure });
      if (!this.#stop.signal.aborted) logger.error({ err: error }, "the catalog could not be verified");
    }
    this.#tell({ endedAtMs: clock.nowMs() });
    const { findingCount = 0, entries, pieces, failure } = this.#state ?? {};
    if (failure !== undefined) return;
    logger[findingCount > 0 ? "warn" : "info"]({ findingCount, entries, pieces }, "the catalog was verified");
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { journal } = this.#deps;
    this.#restedAtMs = this.#deps.clock.monotonicMs();
    // What is being read must not go meanwhile.
    using _held = await journal.hold();
    await journal.flush();
    const durableVersion = journal.shippedThrough;
    this.#tell({ durableVersion });
    const { holdings, nodes } = await this.#listNodes(signal);
    this.#judgeDomains(holdings, durableVersion);
    await this.#checkPieces(nodes, holdings, signal);
    await this.#compareEntries(nodes, holdings, signal);
    await this.#compareCopies(signal);
  }

  async #listNodes(signal: AbortSignal): Promise<{ holdings: Holdings; nodes: JournalNode[] }> {
    const all = this.#deps.cluster.nodes();
    const holdings = new Holdings();
    const nodes: JournalNode[] = [];
    this.#begin("listing", all.length);
    for (const node of all) {
      signal.throwIfAborted();
      if (await this.#answers(node, () => holdings.refresh(node, signal), signal)) nodes.push(node);
      this.#step();
    }
    return { holdings, nodes };
  }

  /** Whether a node could be asked; it is noted where it could not. */
  async #answers(node: JournalNode, ask: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    try {
      if (!node.servesReads()) throw new NodeError("unreachable", "the node is not asked now");
      await ask();
      return true;
    } catch (error) {
      if (signal.aborted || !(error instanceof NodeError)) throw error;
      const notAsked = this.#state?.notAsked ?? [];
      if (!notAsked.includes(node.name)) this.#tell({ notAsked: [...notAsked, node.name] });
      return false;
    }
  }

  /** By the names of what they hold. Nothing is said against domains of which not all could be seen. */
  #judgeDomains(holdings: Holdings, durableVersion: number): void {
    const { cluster } = this.#deps;
    const retention = new Retention(cluster, holdings);
    const pieces = cluster.domains().map((domain): DomainPieces => {
      const held = retention.held.filter(({ holder }) => holder.domain === domain);
      return { domain, names: held.map(({ piece }) => piece.name) };
    });
    const domains = pieces.map((own) => ({
      domain: own.domain,
      through: Math.min(durableVersion, retention.reachIn(own.domain)),
      sufficient: suffices([own], pieces, durableVersion),
    }));
    this.#tell({ domains });
    const unseen = cluster.nodes().filter(({ uuid }) => !holdings.knows(uuid));
    for (const set of insufficientSets(pieces, cluster.quorum(), durableVersion)) {
      if (unseen.some(({ domain }) => set.includes(domain))) continue;
      this.#find({ kind: "domains-insufficient", domains: set });
    }
  }

  /** Reads every copy of every piece: nothing else does, as the scrub is of the copies on record. */
  async #checkPieces(nodes: readonly JournalNode[], holdings: Holdings, signal: AbortSignal): Promise<void> {
    const held = [...holdings.among(nodes)];
    this.#begin("pieces", held.length);
    for (const { holder, piece } of held) {
      try {
        const bytes = await readPiece(holder.node, piece, signal);
        checkPiece(bytes, piece.name, this.#deps.cluster.clusterId);
        await this.#rest(bytes.length, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof NodeError || error instanceof BadPieceError)) throw error;
        const reason = error.message;
        this.#find({ kind: "bad-piece", node: holder.name, piece: identityOf(piece.name), reason });
        if (error instanceof BadPieceError) await this.#deps.journal.replaceDamaged(holder, piece);
      }
      this.#step();
    }
    this.#tell({ pieces: held.length });
  }

  async #compareEntries(nodes: readonly JournalNode[], holdings: Holdings, signal: AbortSignal): Promise<void> {
    const { cluster, kv, scratch, changes, journal } = this.#deps;
    const reader = new JournalReader({
      clusterId: cluster.clusterId,
      holdings,
      nodes,
      onRead: (bytes) => this.#rest(bytes, signal),
    });
    let opened: KvStore | undefined;
    const openEmpty = async (): Promise<KvStore> => {
      opened = await scratch.open();
      return opened;
    };
    try {
      const replayed = await this.#replay(reader, openEmpty, signal);
      if (replayed === undefined) return;
      this.#begin("entries");
      await compareWithJournal({
        replayed: replayed.kv,
        live: kv,
        version: replayed.version,
        changes,
        flush: () => journal.flush(),
        rest: (entries) => this.#restAfter(entries, signal),
        requireRoom: () => this.#requireRoom(),
        onDifference: (key, what) => this.#find({ kind: "entry-differs", key, what }),
        signal,
      });
      this.#tell({ entries: this.#state?.done ?? 0 });
    } finally {
      await opened?.close();
      await scratch.remove();
    }
  }

  /** Undefined where there is nothing to compare with. */
  async #replay(
    reader: JournalReader,
    openEmpty: () => Promise<KvStore>,
    signal: AbortSignal,
  ): Promise<Replayed | undefined> {
    const durableVersion = this.#state?.durableVersion ?? 0;
    this.#begin("replay", reader.chain.last);
    try {
      const onProgress = ({ version }: { readonly version: number }): void => {
        this.#requireRoom();
        this.#tell({ done: version });
      };
      const replayed = await replay(reader, openEmpty, { onProgress, signal });
      if (replayed.version >= durableVersion) return replayed;
      const { version, gapUntil } = replayed;
      this.#find({ kind: "not-rebuildable", version, ...(gapUntil === undefined ? {} : { gapUntil }) });
    } catch (error) {
      if (!(error instanceof NothingToReplayError)) throw error;
      this.#find({ kind: "not-rebuildable", version: 0 });
    }
    return undefined;
  }

  async #compareCopies(signal: AbortSignal): Promise<void> {
    const { cluster, compareNode } = this.#deps;
    if (compareNode === undefined) return;
    const nodes = cluster.nodes();
    this.#begin("copies", nodes.length);
    for (const node of nodes) {
      signal.throwIfAborted();
      const compare = async (): Promise<void> => {
        const counts = await compareNode(node.uuid, signal);
        this.#tell({ nodes: [...(this.#state?.nodes ?? []), { node: node.name, ...counts }] });
        const { lost, failed } = counts;
        if (lost > 0 || failed > 0) this.#find({ kind: "copies-missing", node: node.name, lost, failed });
      };
      await this.#answers(node, compare, signal);
      this.#step();
    }
  }

  #begin(step: Verification["step"], total?: number): void {
    const { total: _, ...state } = this.#state ?? {};
    this.#state = { ...(state as Verification), step, done: 0, ...(total === undefined ? {} : { total }) };
  }

  #step(by = 1): void {
    this.#tell({ done: (this.#state?.done ?? 0) + by });
  }

  #tell(facts: Partial<Verification>): void {
    if (this.#state !== undefined) this.#state = { ...this.#state, ...facts };
  }

  #find(finding: Finding): void {
    const { findings = [], findingCount = 0 } = this.#state ?? {};
    if (findings.length < FINDINGS_MAX) this.#tell({ findings: [...findings, finding] });
    this.#tell({ findingCount: findingCount + 1 });
  }

  #requireRoom(): void {
    if (!this.#deps.scratch.hasRoom()) throw new NoRoomError();
  }

  async #restAfter(entries: number, signal: AbortSignal): Promise<void> {
    this.#step(entries);
    await this.#rest(0, signal);
  }

  /** Rests as long as was worked since the last rest, and longer where the bytes ask for it. */
  async #rest(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const workedMs = clock.monotonicMs() - this.#restedAtMs;
    const restMs = Math.max(workedMs, (bytes * 1000) / READ_BYTES_PER_SECOND - workedMs);
    signal.throwIfAborted();
    if (restMs > 0) await sleep(clock, restMs, signal);
    this.#restedAtMs = clock.monotonicMs();
  }
}
