/**
 * Reads the journal back from the nodes: any copy of a piece serves, and a bad one is passed over for another.
 */
import { NodeError } from "../../nodes/storage-node.ts";
import type { Id } from "../../shared/ids.ts";
import type { KvRestored } from "../kv.ts";
import { Chain } from "./chain.ts";
import type { HeldCopy, Holdings } from "./holdings.ts";
import type { ChunkName, JournalName, SegmentName, SnapshotName } from "./journal-name.ts";
import { type HeldPiece, type JournalNode, readPiece } from "./journal-nodes.ts";
import {
  BadPieceError,
  checkPiece,
  decodeChunk,
  decodeSegment,
  decodeSnapshot,
  type Segment,
  type Snapshot,
} from "./pieces.ts";

export interface JournalReaderDeps {
  readonly clusterId: Id;
  readonly holdings: Holdings;
  /** Those that can be asked. */
  readonly nodes: readonly JournalNode[];
  /** Told of each copy that could not be read or is damaged. */
  readonly onBad?: (holder: JournalNode, piece: HeldPiece, error: Error) => void;
  /** Names that are known of as well, and only tell when sessions were there. */
  readonly witnesses?: readonly JournalName[];
  /** Waited for after each piece that was read. */
  readonly onRead?: (bytes: number) => Promise<void>;
}

/** What the nodes hold at the time when it is made. */
export class JournalReader {
  readonly #deps: JournalReaderDeps;
  readonly #copies = new Map<string, HeldCopy[]>();
  readonly chain: Chain;
  /** The highest session that any piece is of; 0 without one. */
  readonly lastSession: number;
  readonly #snapshots: readonly SnapshotName[];

  constructor(deps: JournalReaderDeps) {
    this.#deps = deps;
    const names: JournalName[] = [];
    for (const copy of deps.holdings.among(deps.nodes)) {
      const id = identityOf(copy.piece.name);
      const known = this.#copies.get(id);
      if (known !== undefined) known.push(copy);
      else {
        this.#copies.set(id, [copy]);
        names.push(copy.piece.name);
      }
    }
    this.lastSession = names.reduce((last, { session }) => Math.max(last, session), 0);
    this.chain = new Chain(names, deps.witnesses);
    this.#snapshots = names
      .filter((name): name is SnapshotName => name.kind === "snapshot")
      .sort((a, b) => b.base - a.base || b.session - a.session);
  }

  /** The segments after a commit, in order, up to the first gap; each cut to what came to be. */
  async *segments(after: number, signal?: AbortSignal): AsyncGenerator<Segment, void, undefined> {
    for (let end = after; ; ) {
      const segment = await this.#segmentAt(end + 1, signal);
      if (segment === undefined) return;
      yield segment;
      end = segment.through;
    }
  }

  async #segmentAt(version: number, signal: AbortSignal | undefined): Promise<Segment | undefined> {
    for (const { name, through } of this.chain.holding(version)) {
      const segment = await this.#firstGood(name, signal, (bytes) => decodeSegment(bytes, name, this.#deps.clusterId));
      if (segment === undefined) continue;
      const changes = segment.changes.filter((change) => change.version >= version && change.version <= through);
      return { ...segment, from: version, through, changes };
    }
    return undefined;
  }

  /** Those whose chunks are all there by name and whose commits the journal holds, the newest first. */
  async *snapshots(signal?: AbortSignal): AsyncGenerator<Snapshot, void, undefined> {
    for (const name of this.#snapshots) {
      const snapshot = await this.#firstGood(name, signal, (bytes) =>
        decodeSnapshot(bytes, name, this.#deps.clusterId),
      );
      if (snapshot === undefined || this.chain.reach(snapshot.base) < snapshot.through) continue;
      const numbers = Array.from({ length: snapshot.chunks }, (_, number) => number);
      if (numbers.every((number) => this.#copies.has(identityOf(chunkOf(snapshot, number))))) yield snapshot;
    }
  }

  /** A chunk's entries, undefined when no copy of it is good. */
  chunk(snapshot: Snapshot, number: number, signal?: AbortSignal): Promise<KvRestored[] | undefined> {
    const name = chunkOf(snapshot, number);
    return this.#firstGood(name, signal, (bytes) => decodeChunk(bytes, name, this.#deps.clusterId));
  }

  /** The bytes of a piece, checked; undefined when no copy of it is good. */
  async bytesOf(name: JournalName, signal?: AbortSignal): Promise<Buffer | undefined> {
    const { clusterId } = this.#deps;
    return this.#firstGood(name, signal, (bytes) => {
      checkPiece(bytes, name, clusterId);
      return bytes;
    });
  }

  async #firstGood<T>(
    name: JournalName,
    signal: AbortSignal | undefined,
    decode: (bytes: Buffer) => T,
  ): Promise<T | undefined> {
    for (const { holder, piece } of this.#copies.get(identityOf(name)) ?? []) {
      try {
        const bytes = await readPiece(holder.node, piece, signal);
        await this.#deps.onRead?.(bytes.length);
        return decode(bytes);
      } catch (error) {
        if (signal?.aborted || !(error instanceof NodeError || error instanceof BadPieceError)) throw error;
        this.#deps.onBad?.(holder, piece, error);
      }
    }
    return undefined;
  }
}

export function chunkOf({ base, session }: Pick<Snapshot, "base" | "session">, number: number): ChunkName {
  return { kind: "chunk", base, number, session };
}

/** The same for all copies of a piece. */
export function identityOf(name: JournalName): string {
  switch (name.kind) {
    case "segment":
      return `segment ${name.from} ${name.through} ${name.session}`;
    case "chunk":
      return `chunk ${name.base} ${name.number} ${name.session}`;
    case "snapshot":
      return `snapshot ${name.base} ${name.chunks} ${name.session}`;
  }
}

export function isSegment(name: JournalName): name is SegmentName {
  return name.kind === "segment";
}
