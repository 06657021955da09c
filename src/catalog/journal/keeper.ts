/**
 * Upkeep of the journal: what a domain lacks is copied to it from another, small segments are merged into larger ones,
 * and what a snapshot covers is removed.
 */

import { NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { KvChange } from "../kv.ts";
import type { HeldCopy, Holdings } from "./holdings.ts";
import type { JournalName, SegmentName, SnapshotName } from "./journal-name.ts";
import { type HeldPiece, type JournalCluster, type JournalNode, readPiece } from "./journal-nodes.ts";
import { identityOf, isSegment, JournalReader } from "./journal-reader.ts";
import type { DomainJournal, JournalStatus } from "./journal-status.ts";
import type { PieceWriter } from "./piece-writer.ts";
import { BadPieceError, checkPiece, decodeSnapshot, encodeSegment } from "./pieces.ts";
import { piecesOf, Retention } from "./retention.ts";
import { SEGMENT_BYTES, type Shipper } from "./shipper.ts";

/** This many segments in a row, or of SEGMENT_BYTES together, become one. */
const MERGE_SEGMENTS = 256;
/** Longer ones are left as they are. */
const MERGED_BYTES_MIN = SEGMENT_BYTES / 2;
/** Pieces copied to a domain in one run. */
const COPIES_PER_RUN = 1_000;
/** Deletions under way at a time. */
const DELETIONS = 32;
/** Most bytes of segments, counted once each, that are kept behind the snapshots for consumers of the changes. */
const CURSOR_BYTES_MAX = 1024 * 1024 * 1024;
/** Gaps that are told one by one. */
const GAPS_MAX = 100;
/** Copies of pieces read and checked in one run, by turns: a hundred in a quarter of an hour. */
const CHECKS_PER_RUN = 1;
/** A node is listed anew after this long: a put without an answer may have left a piece there. */
const RELIST_MS = 3_600_000;

export interface KeeperDeps {
  readonly cluster: JournalCluster;
  readonly holdings: Holdings;
  readonly writer: PieceWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shipper: Shipper;
  /** The last commit that every consumer of the changes has read; undefined without one. @throws CatalogError */
  readonly lowestCursor: () => Promise<number | undefined>;
}

type KeeperStatus = Pick<
  JournalStatus,
  "domains" | "segments" | "bytes" | "snapshot" | "rebuildable" | "gaps" | "missingCommits" | "unlisted"
>;

export class Keeper {
  readonly #deps: KeeperDeps;
  readonly #listedAtMs = new Map<string, number>();
  /** The base of a snapshot that is being made. */
  making: number | undefined;
  #checked = 0;
  #holds = 0;
  #removing: Promise<void> | undefined;
  /** The newest snapshot, as it says itself when it was made. */
  #newest: { readonly identity: string; readonly madeAtMs: number } | undefined;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#list(signal);
    await this.#readNewest(signal);
    if (this.#holds === 0) await this.#removeSuperfluous(signal);
    if (!signal.aborted) await this.#check(signal);
    if (!signal.aborted) await this.#merge(signal);
    if (!signal.aborted) await this.#copyToDomains(signal);
    this.tellReach();
  }

  /** Learns what the nodes hold and gives each domain what it lacks, before anything new is written. */
  async complete(signal: AbortSignal): Promise<void> {
    const { cluster, holdings, clock } = this.#deps;
    // They were listed a moment ago, when the catalog was brought up to date.
    for (const { uuid } of cluster.nodes()) if (holdings.knows(uuid)) this.#listedAtMs.set(uuid, clock.monotonicMs());
    await this.#list(signal);
    await this.#copyToDomains(signal);
    this.tellReach();
  }

  /** Tells the shipper how far each domain has everything. */
  tellReach(): void {
    const { cluster, holdings, shipper } = this.#deps;
    const retention = new Retention(cluster, holdings);
    for (const domain of cluster.domains()) {
      shipper.reaches(domain, retention.reachIn(domain));
    }
  }

  /**
   * Takes a damaged copy of a piece away, where there is another copy of it: the domain then lacks it and gets a good one.
   * Where there is none it stays, as a part of it may be wanted yet.
   */
  async replaceDamaged(holder: JournalNode, piece: HeldPiece): Promise<void> {
    const { cluster, holdings, logger } = this.#deps;
    const identity = identityOf(piece.name);
    logger.warn({ node: holder.name, piece: identity }, "a piece of the journal is damaged");
    const others = [...holdings.among(cluster.nodes())].filter(
      (other) => other.piece.key !== piece.key && identityOf(other.piece.name) === identity,
    );
    if (!(await this.#anyGood(others))) return;
    holdings.remove(holder.uuid, piece.key);
    try {
      await holder.node.delete(piece.key);
    } catch (error) {
      // Listed again, it will be found again.
      if (!(error instanceof NodeError)) throw error;
    }
  }

  async #anyGood(copies: readonly HeldCopy[]): Promise<boolean> {
    for (const { holder, piece } of copies) {
      try {
        checkPiece(await readPiece(holder.node, piece), piece.name, this.#deps.cluster.clusterId);
        return true;
      } catch (error) {
        if (!(error instanceof NodeError || error instanceof BadPieceError)) throw error;
      }
    }
    return false;
  }

  /**
   * Nothing is removed from the nodes until the answer is disposed of. Resolves when no removal is under way.
   */
  async hold(): Promise<Disposable> {
    this.#holds += 1;
    await this.#removing;
    return {
      [Symbol.dispose]: () => {
        this.#holds -= 1;
      },
    };
  }

  status(): KeeperStatus {
    const { cluster, holdings, shipper } = this.#deps;
    const retention = new Retention(cluster, holdings);
    const durable = shipper.shippedThrough;
    const unlisted = cluster.nodes().filter(({ uuid }) => !holdings.knows(uuid));
    // One that does not answer may hold anything; one that does will be listed in a moment.
    const pending = unlisted.filter((node) => node.servesReads());
    const domains = cluster.domains().map((domain): DomainJournal => {
      if (pending.some((node) => node.domain === domain)) return { domain };
      return { domain, through: Math.min(durable, retention.reachIn(domain)) };
    });
    const [newest] = retention.snapshots;
    const gaps = pending.length === 0 ? retention.gaps(durable) : [];
    const names = retention.held.map(({ piece }) => piece.name).filter(isSegment);
    return {
      domains,
      segments: new Set(names.map(identityOf)).size,
      bytes: retention.held.reduce((sum, { piece }) => sum + piece.bytes, 0),
      ...(newest === undefined ? {} : { snapshot: { base: newest.base, ...this.#madeAt(newest) } }),
      ...(pending.length > 0 ? {} : { rebuildable: retention.reach >= durable }),
      gaps: gaps.slice(0, GAPS_MAX),
      missingCommits: gaps.reduce((sum, { from, through }) => sum + through - from + 1, 0),
      unlisted: unlisted.map(({ name }) => name),
    };
  }

  #madeAt(snapshot: SnapshotName): { madeAtMs?: number } {
    return this.#newest?.identity === identityOf(snapshot) ? { madeAtMs: this.#newest.madeAtMs } : {};
  }

  /** When the newest snapshot was made only it knows itself. */
  async #readNewest(signal: AbortSignal): Promise<void> {
    const { cluster, holdings } = this.#deps;
    const [name] = new Retention(cluster, holdings).snapshots;
    if (name === undefined || this.#newest?.identity === identityOf(name)) return;
    const bytes = await this.#reader().bytesOf(name, signal);
    if (bytes === undefined) return;
    const { madeAtMs } = decodeSnapshot(bytes, name, cluster.clusterId);
    this.#newest = { identity: identityOf(name), madeAtMs };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { cluster, holdings, clock, logger } = this.#deps;
    for (const node of cluster.nodes()) {
      if (node.lost()) holdings.forget(node.uuid);
      const listedAtMs = this.#listedAtMs.get(node.uuid);
      const recent = listedAtMs !== undefined && clock.monotonicMs() < listedAtMs + RELIST_MS;
      if (signal.aborted || !node.servesReads() || (recent && holdings.knows(node.uuid))) continue;
      try {
        const startedAtMs = clock.monotonicMs();
        await holdings.refresh(node, signal);
        this.#listedAtMs.set(node.uuid, startedAtMs);
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        logger.warn({ err: error, node: node.name }, "the journal on a node could not be listed");
      }
    }
  }

  /** Reads some copies of pieces, each in its turn. */
  async #check(signal: AbortSignal): Promise<void> {
    const { cluster, holdings } = this.#deps;
    const all = [...holdings.among(cluster.nodes().filter((node) => node.servesReads()))];
    for (let check = 0; check < Math.min(CHECKS_PER_RUN, all.length); check++) {
      const next = all[this.#checked++ % all.length];
      if (next === undefined) return;
      try {
        checkPiece(await readPiece(next.holder.node, next.piece, signal), next.piece.name, cluster.clusterId);
      } catch (error) {
        if (error instanceof BadPieceError) await this.replaceDamaged(next.holder, next.piece);
        else if (!(error instanceof NodeError)) throw error;
      }
    }
  }

  async #removeSuperfluous(signal: AbortSignal): Promise<void> {
    this.#removing = this.#remove(signal).finally(() => {
      this.#removing = undefined;
    });
    await this.#removing;
  }

  async #remove(signal: AbortSignal): Promise<void> {
    const { cluster, holdings, lowestCursor } = this.#deps;
    const cursor = await lowestCursor();
    const retention = new Retention(cluster, holdings);
    const going = retention
      .superfluous(this.making, cursor === undefined ? undefined : retention.keptAfter(cursor, CURSOR_BYTES_MAX))
      .filter(({ holder }) => holder.servesReads())
      .values();
    const worker = async (): Promise<void> => {
      for (const { holder, piece } of going) {
        if (signal.aborted) return;
        try {
          await holder.node.delete(piece.key);
          holdings.remove(holder.uuid, piece.key);
        } catch (error) {
          // It is tried again by the next run.
          if (!(error instanceof NodeError)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: DELETIONS }, worker));
  }

  async #merge(signal: AbortSignal): Promise<void> {
    const { cluster, holdings } = this.#deps;
    const retention = new Retention(cluster, holdings);
    const bytesOf = new Map(retention.held.map(({ piece }) => [identityOf(piece.name), piece.bytes]));
    const end = this.#deps.shipper.shippedThrough;
    const reader = this.#reader();
    let row: SegmentName[] = [];
    let bytes = 0;
    for (let at = retention.floor + 1; at <= end && !signal.aborted; ) {
      const [next] = retention.chain.holding(at);
      if (next === undefined) return;
      const { name } = next;
      const length = bytesOf.get(identityOf(name)) ?? 0;
      const fits = length < MERGED_BYTES_MIN && next.through === name.through && name.from === at;
      if (!fits || name.session !== row[0]?.session) [row, bytes] = [[], 0];
      if (fits) {
        row.push(name);
        bytes += length;
      }
      if (row.length >= MERGE_SEGMENTS || (row.length > 1 && bytes >= SEGMENT_BYTES)) {
        await this.#mergeRow(row, reader, signal);
        [row, bytes] = [[], 0];
      }
      at = next.through + 1;
    }
  }

  async #mergeRow(row: readonly SegmentName[], reader: JournalReader, signal: AbortSignal): Promise<void> {
    const { cluster, writer, clock } = this.#deps;
    const [first, last] = [row[0], row.at(-1)];
    if (first === undefined || last === undefined) return;
    const changes: KvChange[] = [];
    let through = first.from - 1;
    for await (const segment of reader.segments(through, signal)) {
      if (segment.session !== first.session || segment.through > last.through) break;
      changes.push(...segment.changes);
      through = segment.through;
      if (through === last.through) break;
    }
    if (through !== last.through) return;
    const name: SegmentName = { ...first, through };
    const origin = { clusterId: cluster.clusterId, madeAtMs: clock.nowMs() };
    const bytes = encodeSegment({ ...origin, ...name, changes });
    const { domains } = await writer.write(name, bytes);
    // The parts may go where the whole is: so it goes wherever the parts are.
    for (const domain of cluster.domains()) if (!domains.has(domain)) await writer.writeTo(domain, name, bytes);
  }

  async #copyToDomains(signal: AbortSignal): Promise<void> {
    const { cluster, holdings } = this.#deps;
    const retention = new Retention(cluster, holdings);
    const reader = this.#reader();
    for (const domain of cluster.domains()) {
      if (!cluster.nodes().some((node) => node.domain === domain && node.takesWrites())) continue;
      let copies = 0;
      for (const name of this.#lackedBy(domain, retention)) {
        if (signal.aborted || copies++ >= COPIES_PER_RUN || !(await this.#copy(reader, domain, name))) break;
      }
      if (copies > 0) this.#deps.logger.info({ domain, copies }, "pieces of the journal were copied to a domain");
    }
  }

  /** The pieces that the domain's nodes do not hold and ought to. */
  *#lackedBy(domain: string, retention: Retention): Generator<JournalName> {
    const { snapshots, newest } = retention;
    for (const snapshot of new Set([...snapshots, ...(newest === undefined ? [] : [newest])])) {
      for (const name of piecesOf(snapshot)) if (!retention.holds(domain, name)) yield name;
    }
    const own = retention.chainIn(domain);
    const end = this.#deps.shipper.shippedThrough;
    for (let at = own.reach(retention.floor); at < end; ) {
      const [missing] = retention.chain.holding(at + 1);
      if (missing === undefined) return;
      yield missing.name;
      at = own.reach(missing.through);
    }
  }

  async #copy(reader: JournalReader, domain: string, name: JournalName): Promise<boolean> {
    const bytes = await reader.bytesOf(name);
    return bytes !== undefined && (await this.#deps.writer.writeTo(domain, name, bytes));
  }

  #reader(): JournalReader {
    const { cluster, holdings, logger } = this.#deps;
    return new JournalReader({
      clusterId: cluster.clusterId,
      holdings,
      nodes: cluster.nodes().filter((node) => node.servesReads()),
      onBad: (holder, piece, error) => {
        if (error instanceof BadPieceError) void this.replaceDamaged(holder, piece);
        else logger.warn({ err: error, node: holder.name }, "a piece of the journal could not be read");
      },
    });
  }
}
