/** Limits of repair: copies and bytes that it restores a second. */
import type { Clock } from "../../shared/clock.ts";
import { Throttle } from "../scrub/throttle.ts";

export interface RepairThrottle {
  /** Resolves when so much may be restored. @throws the signal's reason */
  take(copies: number, bytes: number, signal: AbortSignal): Promise<void>;
}

/** Fixed limits; none where it is `auto`. */
export function fixedThrottle(
  clock: Clock,
  limits: { readonly copiesPerSecond: number | "auto"; readonly bytesPerSecond: number | "auto" },
): RepairThrottle {
  const of = (perSecond: number | "auto"): Throttle | undefined =>
    perSecond === "auto" ? undefined : new Throttle(clock, perSecond);
  const copies = of(limits.copiesPerSecond);
  const bytes = of(limits.bytesPerSecond);
  return {
    async take(copyCount, byteCount, signal) {
      await copies?.take(copyCount, signal);
      await bytes?.take(byteCount, signal);
    },
  };
}
