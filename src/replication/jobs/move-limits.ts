/**
 * How fast copies may be moved: copies a second and bytes a second, of what is moved and not of what is looked at. A thin
 * wrapper of bottleneck, which spaces the starts of what is scheduled.
 */
import Bottleneck from "bottleneck";

export interface MoveRates {
  /** Copies a second; absent: no limit. */
  readonly copiesPerSecond?: number | undefined;
  /** Absent: no limit. */
  readonly bytesPerSecond?: number | undefined;
}

/** Bytes are let through in portions: a block of a copy at a time, so that small copies add up to one. */
const PORTION_BYTES = 262_144;

const NO_WORK = (): Promise<void> => Promise.resolve();

export class MoveLimits implements Disposable {
  readonly #copies: Bottleneck;
  readonly #bytes: Bottleneck;
  #rates: MoveRates;
  /** Bytes that went and are still to be paid for. */
  #owedBytes = 0;

  constructor(rates: MoveRates) {
    this.#rates = rates;
    this.#copies = new Bottleneck({ minTime: spacingMs(rates.copiesPerSecond, 1) });
    this.#bytes = new Bottleneck({ minTime: spacingMs(rates.bytesPerSecond, PORTION_BYTES) });
  }

  get rates(): MoveRates {
    return this.#rates;
  }

  /** From now on; what waits already keeps its turn. */
  set(rates: MoveRates): void {
    this.#rates = rates;
    this.#copies.updateSettings({ minTime: spacingMs(rates.copiesPerSecond, 1) });
    this.#bytes.updateSettings({ minTime: spacingMs(rates.bytesPerSecond, PORTION_BYTES) });
  }

  /** Resolves when one more copy may be moved. @throws the signal's reason */
  async object(signal: AbortSignal): Promise<void> {
    if (this.#rates.copiesPerSecond === undefined) return signal.throwIfAborted();
    await turnOf(this.#copies, signal);
  }

  /** Resolves when so many bytes more may be sent. @throws the signal's reason */
  async bytes(amount: number, signal: AbortSignal): Promise<void> {
    if (this.#rates.bytesPerSecond === undefined) return signal.throwIfAborted();
    this.#owedBytes += amount;
    while (this.#owedBytes >= PORTION_BYTES) {
      this.#owedBytes -= PORTION_BYTES;
      await turnOf(this.#bytes, signal);
    }
  }

  /** Lets go of what waits, whose timers would keep the process alive. Nothing is to be asked for any more. */
  [Symbol.dispose](): void {
    for (const limiter of [this.#copies, this.#bytes]) limiter.stop({ dropWaitingJobs: true }).catch(() => {});
  }
}

function spacingMs(perSecond: number | undefined, portion: number): number {
  return perSecond === undefined ? 0 : (1000 * portion) / perSecond;
}

/** A turn of a limiter; one that nobody waits for any more is let pass unused. @throws the signal's reason */
async function turnOf(limiter: Bottleneck, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([limiter.schedule(NO_WORK), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
