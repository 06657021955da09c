/** Metrics of the coordinator and of who leads the background work. */
import type { Registry } from "prom-client";
import { liveGauge } from "./gauges.ts";

export interface CoordinatorMetrics {
  /** Asked at every scrape. */
  watchCoordinator(read: () => { readonly available: boolean; readonly leader: boolean }): void;
}

export function coordinatorMetrics(registry: Registry): CoordinatorMetrics {
  return {
    watchCoordinator(read) {
      liveGauge(registry, "bulkhead_coordinator_up", "Whether the coordinator answers", () => Number(read().available));
      liveGauge(registry, "bulkhead_leader", "Whether this gateway leads the background work", () =>
        Number(read().leader),
      );
    },
  };
}
