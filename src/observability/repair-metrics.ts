/** Metrics of repair: attempts, and how long what wants it has been waiting. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { CounterSeries } from "./series.ts";

export interface RepairMetrics {
  /** Counts an attempt to make a slot good by how it ended: `restored`, `failed`, `dead-letter`. */
  repairAttempted(outcome: string): void;
  /** Asked at every scrape. What it throws leaves the gauges out of that scrape. */
  watchRepair(read: () => Promise<{ readonly oldestMissingMs: number; readonly waiting: number }>): void;
}

export function repairMetrics(registry: Registry): RepairMetrics {
  const attempts = new CounterSeries(registry, {
    name: "bulkhead_repair_attempts_total",
    help: "Attempts to make a copy good, by how they ended; a failure that was the last is a dead letter as well",
    labelNames: ["outcome"],
    seriesMax: 4,
  });
  return {
    repairAttempted: (outcome) => attempts.add(attempts.series(outcome)),
    watchRepair(read) {
      const gauge = (name: string, help: string, value: (of: Awaited<ReturnType<typeof read>>) => number): void => {
        new Gauge({
          name,
          help,
          registers: [registry],
          async collect() {
            this.remove();
            const now = await settle(read);
            if (now !== undefined) this.set(value(now));
          },
        });
      };
      gauge(
        "bulkhead_oldest_missing_copy_seconds",
        "How long the copy has been missing that is so longest, dead letters included; 0 where none is",
        ({ oldestMissingMs }) => oldestMissingMs / 1000,
      );
      gauge(
        "bulkhead_repair_waiting_copies",
        "Copies that the last run of repair passed over, as no node can take or give them",
        ({ waiting }) => waiting,
      );
    },
  };
}
