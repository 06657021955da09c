/**
 * How much of a long range of records is still to be done, found out a bounded piece at a time: the range is cut into
 * pieces as it is gone through, each piece has the count of its last look, and the pieces are looked at in turn. The sum
 * is exact while nothing changes; it is taken for nothing only after every piece in a row was found without anything.
 */
import type { Kv, KvEntry, KvKey, KvRange } from "../../catalog/kv.ts";
import type { Id } from "../../shared/ids.ts";

/** Records in a piece. A look reads less than twice as many. */
const PIECE_ENTRIES_MAX = 5_000;
const PAGE = 500;

export interface PendingSum {
  readonly count: number;
  readonly bytes: number;
  /** Every piece was looked at: there is no more than that. */
  readonly whole: boolean;
  /** All of the range was gone through since something was found last. */
  readonly nothing: boolean;
}

interface Piece {
  readonly start: KvKey;
  readonly end: KvKey;
  readonly count: number;
  readonly bytes: number;
  readonly looked: boolean;
}

/** Something that is still to be done. */
export interface Pending {
  readonly blobId: Id;
  readonly slot: number;
  readonly bytes: number;
}

export interface PendingRange {
  readonly kv: Kv;
  readonly range: KvRange;
  /** What an entry says is still to be done; `undefined` where that is nothing. */
  readonly pendingOf: (entry: KvEntry) => Promise<Pending | undefined>;
}

export class PendingSweep {
  readonly #what: PendingRange;
  readonly #pieceEntriesMax: number;
  #pieces: Piece[];
  /** The piece that is looked at next. */
  #at = 0;
  /** Pieces in a row that were found without anything to do. */
  #empty = 0;

  constructor(what: PendingRange, pieceEntriesMax = PIECE_ENTRIES_MAX) {
    const { start, end } = what.range;
    this.#what = what;
    this.#pieceEntriesMax = pieceEntriesMax;
    this.#pieces = [{ start, end, count: 0, bytes: 0, looked: false }];
  }

  /** Looks at the pieces whose turn it is, at each of them once at most. @throws CatalogError, RecordError; the signal's reason */
  async look(signal: AbortSignal): Promise<PendingSum> {
    let left = this.#pieceEntriesMax;
    const first = this.#pieces[this.#at]?.start;
    do {
      left -= await this.#lookAtPiece(signal);
    } while (left > 0 && this.#pieces[this.#at]?.start !== first && !this.#nothing);
    const sum = { count: 0, bytes: 0, whole: true, nothing: this.#nothing };
    for (const { count, bytes, looked } of this.#pieces) {
      sum.count += count;
      sum.bytes += bytes;
      sum.whole &&= looked;
    }
    return sum;
  }

  get #nothing(): boolean {
    return this.#empty >= this.#pieces.length;
  }

  /** Looks at the piece whose turn it is; what is too much for one becomes a piece of its own. @returns entries read */
  async #lookAtPiece(signal: AbortSignal): Promise<number> {
    const { kv, pendingOf } = this.#what;
    const limit = this.#pieceEntriesMax;
    const piece = this.#pieces[this.#at];
    if (piece === undefined) throw new RangeError("there is no piece to look at");
    let [count, bytes, read] = [0, 0, 0];
    let start = piece.start;
    while (read < limit) {
      signal.throwIfAborted();
      const pageMax = Math.min(PAGE, limit - read);
      const page = await kv.list({ start, end: piece.end }, { limit: pageMax });
      for (const entry of page) {
        const found = await pendingOf(entry);
        if (found === undefined) continue;
        count += 1;
        bytes += found.bytes;
      }
      read += page.length;
      const last = page.at(-1);
      if (last === undefined || page.length < pageMax) {
        start = piece.end;
        break;
      }
      start = Buffer.concat([last.key, Buffer.of(0)]);
    }
    this.#looked({ ...piece, end: start, count, bytes, looked: true }, piece, read);
    // A piece without any entry has cost a read all the same.
    return Math.max(1, read);
  }

  #looked(looked: Piece, before: Piece, read: number): void {
    const isWhole = Buffer.compare(looked.end, before.end) >= 0;
    const rest = isWhole ? [] : [{ ...before, start: looked.end, count: 0, bytes: 0, looked: false }];
    const previous = this.#pieces[this.#at - 1];
    if (read === 0 && previous !== undefined) {
      // Nothing is there any more: one piece less to go round.
      this.#pieces.splice(this.#at - 1, 2, { ...previous, end: looked.end });
    } else {
      this.#pieces.splice(this.#at, 1, looked, ...rest);
      this.#at += 1;
      this.#empty = looked.count === 0 ? this.#empty + 1 : 0;
    }
    if (this.#at >= this.#pieces.length) this.#at = 0;
  }
}
