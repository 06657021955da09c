import { type Clock, sleep } from "../../shared/clock.ts";

/** How soon a busy node is looked at again. */
const LOOK_MS = 250;
/** After this long one step is made all the same: work that never goes on might as well not be there. */
const WAIT_MS_MAX = 10_000;

/** Waits while clients keep a node busy. @throws the signal's reason */
export async function yieldToClients(
  { clock, busy }: { readonly clock: Clock; readonly busy: () => boolean },
  signal: AbortSignal,
): Promise<void> {
  const untilMs = clock.monotonicMs() + WAIT_MS_MAX;
  while (busy() && clock.monotonicMs() < untilMs) await sleep(clock, LOOK_MS, signal);
}
