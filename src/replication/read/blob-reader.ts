/**
 * Reads a blob's bytes from whichever of its copies can give them. A block is forwarded only after its checksum matched;
 * a copy that is corrupt, lost, away or too slow is left for another one at the same block, and the consumer notices
 * nothing.
 */
import type { Blob, Location } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { BLOCK_BYTES, type ByteRange, NodeError } from "../../nodes/storage-node.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import { CopyChoice, type FailedCopy, type ReadableCopy } from "./copy-choice.ts";
import { CopyStream } from "./copy-stream.ts";
import { HedgeBudget } from "./hedge-budget.ts";

/** Before copies whose failure may have passed are asked again. */
const SECOND_CHANCE_DELAY_MS = 100;

export interface ReadLimits {
  /** A copy that sent no byte for this long after it was asked is not waited for alone. */
  readonly hedgeDelayMs: number;
  /** A copy that sent no byte for this long has failed. Time that the consumer takes does not count. */
  readonly stallTimeoutMs: number;
}

/** A copy that is not what its record says. */
export interface CopyDamage {
  readonly blobId: Id;
  readonly slot: number;
  readonly location: Location;
  /** `corrupt`: its bytes are not those that were written, or fewer. `lost`: its node is certain to hold no such blob. */
  readonly kind: "corrupt" | "lost";
}

export interface ReadDeps {
  readonly members: () => Members;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: ReadLimits;
  /** Told at most once a read of each copy. Must not throw. */
  readonly onDamage: (damage: CopyDamage) => void;
}

export interface BlobReader {
  /**
   * The bytes of the range, exactly and verified. Holds at most two blocks beside what the nodes' drivers buffer. Nothing
   * is asked of a node before the first iteration; leaving it early, or the signal, lets the nodes go at once.
   *
   * While iterating throws BlobUnavailableError when no copy can give the next block, or the signal's reason.
   *
   * @throws RangeError for a range that is empty or not within the blob.
   */
  read(blob: Blob, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** No copy of a blob can be read now. It exists nevertheless. */
export class BlobUnavailableError extends Error {
  readonly blobId: Id;
  readonly copies: readonly FailedCopy[];
  constructor(blobId: Id, copies: readonly FailedCopy[]) {
    super("no copy of a blob can be read now");
    this.name = "BlobUnavailableError";
    this.blobId = blobId;
    this.copies = copies;
  }
}

export function createBlobReader(deps: ReadDeps): BlobReader {
  const hedges = new HedgeBudget();
  return {
    read(blob, range, signal) {
      if (!(range.start >= 0 && range.start < range.end && range.end <= blob.length)) {
        throw new RangeError("a range that is not within the blob");
      }
      return new BlobRead(deps, hedges, blob, range).run(signal);
    },
  };
}

/** A copy that is being read, and its next block. */
interface Attempt {
  readonly copy: ReadableCopy;
  readonly stream: CopyStream;
}

interface Delivery {
  readonly attempt: Attempt;
  readonly chunks: readonly Uint8Array[];
}

class BlobRead {
  readonly #deps: ReadDeps;
  readonly #hedges: HedgeBudget;
  readonly #blob: Blob;
  readonly #range: ByteRange;
  readonly #choice: CopyChoice;
  readonly #open = new Set<Attempt>();
  /** Slots whose damage was told. */
  readonly #damaged = new Set<number>();

  constructor(deps: ReadDeps, hedges: HedgeBudget, blob: Blob, range: ByteRange) {
    this.#deps = deps;
    this.#hedges = hedges;
    this.#blob = blob;
    this.#range = range;
    this.#choice = new CopyChoice(blob, deps.members, deps.random);
  }

  async *run(signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    signal?.throwIfAborted();
    const onAbort = (): void => this.#closeAll();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#hedges.earn();
      let attempt: Attempt | undefined;
      for (let block = this.#firstBlock; block <= this.#lastBlock; block++) {
        const delivery: Delivery = (attempt && (await this.#next(attempt))) ?? (await this.#begin(block, signal));
        // An aborted stream may have had its block already.
        signal?.throwIfAborted();
        this.#choice.progressed();
        attempt = delivery.attempt;
        for (const chunk of within(delivery.chunks, block * BLOCK_BYTES, this.#range)) yield chunk;
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#closeAll();
    }
  }

  get #firstBlock(): number {
    return Math.floor(this.#range.start / BLOCK_BYTES);
  }

  get #lastBlock(): number {
    return Math.ceil(this.#range.end / BLOCK_BYTES) - 1;
  }

  /** The block from the first copy that gives it. */
  async #begin(block: number, signal: AbortSignal | undefined): Promise<Delivery> {
    for (;;) {
      signal?.throwIfAborted();
      const attempt = this.#start(block);
      if (attempt !== undefined) {
        const delivery = await this.#nextHedged(attempt, block);
        if (delivery !== undefined) return delivery;
      } else {
        if (!this.#choice.giveSecondChance()) {
          throw new BlobUnavailableError(this.#blob.blobId, this.#choice.failures());
        }
        await sleep(this.#deps.clock, SECOND_CHANCE_DELAY_MS, signal);
      }
    }
  }

  #start(block: number): Attempt | undefined {
    const copy = this.#choice.take(block);
    if (copy === undefined) return undefined;
    const stream = new CopyStream({
      node: copy.node,
      blob: this.#blob,
      location: copy.location,
      first: block,
      last: this.#lastBlock,
      clock: this.#deps.clock,
      stallTimeoutMs: this.#deps.limits.stallTimeoutMs,
    });
    const attempt = { copy, stream };
    this.#open.add(attempt);
    return attempt;
  }

  /** The attempt's first block; or, if that is slow to start, another copy's if it comes sooner. */
  async #nextHedged(first: Attempt, block: number): Promise<Delivery | undefined> {
    const delivery = this.#next(first);
    if (!(await this.#isSlow(delivery)) || first.stream.started || !this.#hedges.spend()) return delivery;
    const second = this.#start(block);
    if (second === undefined) return delivery;
    const other = this.#next(second);
    const winner = (await Promise.race([delivery, other])) ?? (await delivery) ?? (await other);
    for (const attempt of [first, second]) {
      if (attempt !== winner?.attempt) this.#letGo(attempt);
    }
    return winner;
  }

  /** Resolves to true after the hedge delay, or to false as soon as the delivery is there or has failed. */
  #isSlow(delivery: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.startTimer(this.#deps.limits.hedgeDelayMs, () => resolve(true));
      const settled = (): void => {
        timer.stop();
        resolve(false);
      };
      delivery.then(settled, settled);
    });
  }

  /** The attempt's next block; `undefined` when it failed. */
  async #next(attempt: Attempt): Promise<Delivery | undefined> {
    try {
      return { attempt, chunks: await attempt.stream.nextBlock() };
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      this.#failed(attempt, error);
      return undefined;
    }
  }

  #failed(attempt: Attempt, error: NodeError): void {
    // An attempt that was let go fails only because of that.
    if (!this.#open.delete(attempt)) return;
    attempt.stream.close();
    const { copy } = attempt;
    this.#choice.fail(copy, { error, block: attempt.stream.block });
    const kind = error.kind === "corrupt" ? "corrupt" : error.kind === "not-found" ? "lost" : undefined;
    if (kind === undefined || this.#damaged.has(copy.slot)) return;
    this.#damaged.add(copy.slot);
    this.#deps.onDamage({ blobId: this.#blob.blobId, slot: copy.slot, location: copy.location, kind });
  }

  #letGo(attempt: Attempt): void {
    if (!this.#open.delete(attempt)) return;
    attempt.stream.close();
    this.#choice.giveBack(attempt.copy);
  }

  #closeAll(): void {
    for (const attempt of this.#open) this.#letGo(attempt);
  }
}

/** The parts of a block's chunks that lie in the range. `start` is where the block begins. */
function* within(chunks: readonly Uint8Array[], start: number, range: ByteRange): Generator<Uint8Array, void> {
  let at = start;
  for (const chunk of chunks) {
    const from = Math.max(0, range.start - at);
    const to = Math.min(chunk.length, range.end - at);
    if (from < to) yield to - from === chunk.length ? chunk : chunk.subarray(from, to);
    at += chunk.length;
  }
}
