/** Metrics of what storage nodes tell of their capacity. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { CounterSeries, NODES_MAX } from "./series.ts";

export interface NodeCapacity {
  readonly node: string;
  readonly domain: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export interface CapacityMetrics {
  /** Counts an attempt to read the metrics of a node's server that failed. */
  scrapeFailed(node: string): void;
  /** Asked at every scrape, for the nodes whose capacity is known. What it throws leaves the gauge out of that scrape. */
  watchCapacity(read: () => Iterable<NodeCapacity>): void;
}

export function capacityMetrics(registry: Registry): CapacityMetrics {
  const failures = new CounterSeries(registry, {
    name: "s3_node_scrape_failures_total",
    help: "Attempts to read the metrics of a storage node's server that failed",
    labelNames: ["node"],
    seriesMax: NODES_MAX,
  });
  return {
    scrapeFailed: (node) => failures.add(failures.series(node)),
    watchCapacity(read) {
      new Gauge({
        name: "s3_node_capacity_bytes",
        help: "Capacity that a storage node tells: `total`, `used` by anybody, and `free`",
        labelNames: ["node", "domain", "kind"],
        registers: [registry],
        async collect() {
          this.reset();
          for (const { node, domain, totalBytes, usedBytes, freeBytes } of (await settle(read)) ?? []) {
            this.set({ node, domain, kind: "total" }, totalBytes);
            this.set({ node, domain, kind: "used" }, usedBytes);
            this.set({ node, domain, kind: "free" }, freeBytes);
          }
        },
      });
    },
  };
}
