/**
 * Time as a collaborator. Everything that waits or tells the time takes a Clock, so that tests and the
 * simulation own time; the globals are banned by the linter outside this folder.
 */

/** A started timer. Stopping it twice, or after it fired, does nothing. */
export interface Timer {
  stop(): void;
}

export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch. For display and expiry, never for ordering. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin that never go backwards. For durations and timeouts. */
  monotonicMs(): number;
  /** Calls `fire` once after `delayMs`. The timer does not keep the process alive. */
  startTimer(delayMs: number, fire: () => void): Timer;
}

/** As good as any. */
const KEEP_ALIVE_MS = 3_600_000;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  startTimer(delayMs, fire) {
    const handle = setTimeout(fire, delayMs);
    handle.unref();
    return { stop: () => clearTimeout(handle) };
  },
};

/** Keeps the process alive until it is disposed of: timers do not. */
export function keepAlive(): Disposable {
  const handle = setInterval(() => {}, KEEP_ALIVE_MS);
  return { [Symbol.dispose]: () => clearInterval(handle) };
}

/**
 * Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.stop();
      reject(signal?.reason);
    };
    const timer = clock.startTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
