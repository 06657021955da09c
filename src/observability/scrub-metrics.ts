/** Metrics of the scrub of nodes and of their comparison with the catalog. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { CounterSeries, NODES_MAX } from "./series.ts";

export interface ScrubGauges {
  readonly node: string;
  /** Wall clock of the end of the last full pass; absent before the first. */
  readonly passEndedAtMs: number | undefined;
  /** Found by the last comparison; absent before the first. */
  readonly unknownCopies: number | undefined;
  readonly foreign: number | undefined;
}

export interface ScrubMetrics {
  /** Counts a copy that was read whole and found right. */
  copyVerified(node: string, bytes: number): void;
  /** Asked at every scrape. What it throws leaves the gauges out of that scrape. */
  watchScrub(read: () => Promise<readonly ScrubGauges[]>): void;
}

export function scrubMetrics(registry: Registry): ScrubMetrics {
  const copies = new CounterSeries(registry, {
    name: "bulkhead_scrub_copies_total",
    help: "Copies that the scrub read whole and found right",
    labelNames: ["node"],
    seriesMax: NODES_MAX,
  });
  const bytes = new CounterSeries(registry, {
    name: "bulkhead_scrub_bytes_total",
    help: "Bytes of copies that the scrub read whole and found right",
    labelNames: ["node"],
    seriesMax: NODES_MAX,
  });
  return {
    copyVerified(node, length) {
      copies.add(copies.series(node));
      bytes.add(bytes.series(node), length);
    },
    watchScrub(read) {
      const gauge = (name: string, help: string, value: (node: ScrubGauges) => number | undefined): void => {
        new Gauge({
          name,
          help,
          labelNames: ["node"],
          registers: [registry],
          async collect() {
            this.reset();
            for (const node of (await settle(read)) ?? []) {
              const known = value(node);
              if (known !== undefined) this.set({ node: node.node }, known);
            }
          },
        });
      };
      gauge(
        "bulkhead_scrub_last_pass_timestamp_seconds",
        "When the last full scrub of a node ended, in seconds since 1970",
        ({ passEndedAtMs }) => passEndedAtMs && passEndedAtMs / 1000,
      );
      gauge(
        "bulkhead_unknown_copies",
        "Copies on a node that nothing names, of sessions that have not ended; writes under way are among them",
        ({ unknownCopies }) => unknownCopies,
      );
      gauge(
        "bulkhead_foreign_objects",
        "Objects, trees or files on a node that Bulkhead did not write; counted up to 1,000",
        ({ foreign }) => foreign,
      );
    },
  };
}
