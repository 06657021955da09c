import type { Clock } from "../../shared/clock.ts";
import type { TargetFeed } from "./target-feed.ts";

/** A node that takes a body as it comes in. */
export interface FedTarget {
  readonly domain: string;
  readonly feed: TargetFeed;
}

export interface BackPressure {
  readonly clock: Clock;
  /** See WriteLimits. */
  readonly lagTimeoutMs: number;
  /** Domains that must keep up before one that does not is let go. */
  readonly quorum: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Waits until every target has room for a block or was let go. That the caller gave up meanwhile is noticed when the lag
 * time is over.
 * @throws what the signal was aborted with
 */
export async function waitForRoom(targets: readonly FedTarget[], how: BackPressure): Promise<void> {
  for (;;) {
    const full = targets.filter(({ feed }) => feed.attached && feed.full);
    if (full.length === 0) return;
    const lag = Promise.withResolvers<"lag">();
    const timer = how.clock.startTimer(how.lagTimeoutMs, () => lag.resolve("lag"));
    const outcome = await Promise.race([Promise.all(full.map(({ feed }) => feed.room())), lag.promise]);
    timer.stop();
    how.signal?.throwIfAborted();
    if (outcome === "lag") letLaggardsGo(targets, how.quorum);
  }
}

function letLaggardsGo(targets: readonly FedTarget[], quorum: number): void {
  const attached = targets.filter(({ feed }) => feed.attached);
  const keepUp = new Set(attached.flatMap(({ domain, feed }) => (feed.full ? [] : [domain])));
  if (keepUp.size < quorum) return;
  for (const { feed } of attached) if (feed.full) feed.detach();
}
