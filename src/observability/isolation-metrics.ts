/** The metric of a gateway that may be cut off from its nodes. */
import { Gauge, type Registry } from "prom-client";

export interface IsolationMetrics {
  /** Asked at every scrape. Must not throw. */
  watchIsolation(read: () => boolean): void;
}

export function isolationMetrics(registry: Registry): IsolationMetrics {
  return {
    watchIsolation(read) {
      new Gauge({
        name: "bulkhead_gateway_isolated",
        help: "1 while this gateway may be cut off and does nothing about the nodes that it misses",
        registers: [registry],
        collect() {
          this.set(read() ? 1 : 0);
        },
      });
    },
  };
}
