/** Leases of background work, each of one leader's term. */
import { type Coordinator, CoordinatorError, type Lease } from "../coordination/coordinator.ts";
import type { Leadership } from "../replication/leadership.ts";

/** A lease, tried for once; `undefined` where somebody has it, and also where the coordinator does not answer. */
export type AcquireTermLease = (name: string, ttlMs: number) => Promise<Lease | undefined>;

/**
 * Leases by the leader's epoch. A gateway that was killed at its work leaves its leases until they run out. Whoever leads
 * after it has a later epoch, without which no commit of that work is taken any more, so it has nothing to wait for.
 */
export function termLeases(coordinator: Coordinator, leadership: Pick<Leadership, "epoch">): AcquireTermLease {
  return async (name, ttlMs) => {
    const { epoch } = leadership;
    if (epoch === undefined) return undefined;
    try {
      return await coordinator.acquire(`${name}/${epoch}`, ttlMs);
    } catch (error) {
      if (!(error instanceof CoordinatorError && error.kind === "unavailable")) throw error;
      return undefined;
    }
  };
}
