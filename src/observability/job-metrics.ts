/** Metrics of background jobs. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { CounterSeries } from "./series.ts";

export interface JobMetrics {
  /** Counts a copy that a job moved, restored or checked. */
  jobMoved(kind: string, bytes: number): void;
  /** Counts a copy with which a job did not succeed. */
  jobFailed(kind: string): void;
  /** Asked at every scrape: jobs that are not over, by kind and state. What it throws leaves the gauge out. */
  watchJobs(read: () => Promise<readonly { readonly kind: string; readonly state: string }[]>): void;
}

const KINDS_MAX = 16;

export function jobMetrics(registry: Registry): JobMetrics {
  const counter = (name: string, help: string): CounterSeries =>
    new CounterSeries(registry, { name, help, labelNames: ["kind"], seriesMax: KINDS_MAX });
  const objects = counter("bulkhead_job_moved_objects_total", "Copies that jobs moved, restored or checked, by kind");
  const bytes = counter("bulkhead_job_moved_bytes_total", "Bytes of these copies");
  const failures = counter("bulkhead_job_failures_total", "Copies with which jobs did not succeed, by kind");
  return {
    jobMoved(kind, length) {
      objects.add(objects.series(kind));
      bytes.add(bytes.series(kind), length);
    },
    jobFailed: (kind) => failures.add(failures.series(kind)),
    watchJobs(read) {
      new Gauge({
        name: "bulkhead_jobs",
        help: "Jobs that are not over, by kind and state",
        labelNames: ["kind", "state"],
        registers: [registry],
        async collect() {
          this.reset();
          for (const { kind, state } of (await settle(read)) ?? []) this.inc({ kind, state });
        },
      });
    },
  };
}
