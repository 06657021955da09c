/**
 * What Prometheus sees. Labels are bounded: S3 operations, status classes, node names, kinds of errors; never a
 * bucket, a key or a user. docs/operations has the list for people.
 */
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type CapacityMetrics, capacityMetrics } from "./capacity-metrics.ts";
import { type CoordinatorMetrics, coordinatorMetrics } from "./coordinator-metrics.ts";
import { liveGauge, settle } from "./gauges.ts";
import { type HealthMetrics, healthMetrics } from "./health-metrics.ts";
import { type IsolationMetrics, isolationMetrics } from "./isolation-metrics.ts";
import { type JobMetrics, jobMetrics } from "./job-metrics.ts";
import { type JournalMetrics, journalMetrics } from "./journal-metrics.ts";
import { type NodeMetrics, nodeMetrics } from "./node-metrics.ts";
import { type RedirectMetrics, redirectMetrics } from "./redirect-metrics.ts";
import { type RepairMetrics, repairMetrics } from "./repair-metrics.ts";
import { type ScrubMetrics, scrubMetrics } from "./scrub-metrics.ts";
import {
  CounterSeries,
  DURATION_BOUNDS_SECONDS,
  getOrMake,
  HistogramSeries,
  NODES_MAX,
  type SeriesSlot,
} from "./series.ts";
import { type VerifiedAgeMetrics, verifiedAgeMetrics } from "./verified-age-metrics.ts";

export interface FinishedRequest {
  /** Name of the S3 operation, or `Unknown`. */
  readonly operation: string;
  readonly status: number;
  readonly durationMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Work that waits, by its kind. */
export type Backlog = Readonly<Partial<Record<BacklogKind, number>>>;
export type BacklogKind = (typeof BACKLOG_KINDS)[number];
export const BACKLOG_KINDS = ["missing", "handoff", "unverified", "corrupt", "dying", "orphan", "dead-letter"] as const;

export interface Metrics
  extends NodeMetrics,
    CapacityMetrics,
    ScrubMetrics,
    JournalMetrics,
    RedirectMetrics,
    VerifiedAgeMetrics,
    CoordinatorMetrics,
    HealthMetrics,
    IsolationMetrics,
    RepairMetrics,
    JobMetrics {
  requestStarted(): void;
  requestFinished(request: FinishedRequest): void;
  /** Counts an acknowledged or refused write by its class: `full`, `quorum`, `degraded`, `no`. */
  writeDecided(acknowledgement: string): void;
  /** Counts a copy that turned out to be `corrupt` or `missing`. */
  badCopyFound(node: string, state: string): void;
  /** Counts a copy made after its write: `missing` completed, `handoff` moved home, ... */
  copyRestored(cause: string, bytes: number): void;
  /** Asked at every scrape. What it throws leaves the gauges out of that scrape. */
  watchBacklog(read: () => Backlog | Promise<Backlog>): void;
  /** The metrics in Prometheus' text format. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface MetricsOptions {
  readonly version: string;
  /** Memory, event loop, garbage collection and the like of this process too. */
  readonly processMetrics: boolean;
}

/** The S3 API has about 110 operations, each with up to five classes of status. */
const OPERATION_SERIES_MAX = 120;

export function createMetrics({ version, processMetrics }: MetricsOptions): Metrics {
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "bulkhead_build_info",
    help: "The version that runs, always 1",
    labelNames: ["version"],
    registers: [registry],
  }).set({ version }, 1);
  return {
    ...requestMetrics(registry),
    ...copyMetrics(registry),
    ...nodeMetrics(registry),
    ...capacityMetrics(registry),
    ...scrubMetrics(registry),
    ...journalMetrics(registry),
    ...redirectMetrics(registry),
    ...verifiedAgeMetrics(registry),
    ...coordinatorMetrics(registry),
    ...healthMetrics(registry),
    ...isolationMetrics(registry),
    ...repairMetrics(registry),
    ...jobMetrics(registry),
    async render() {
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function requestMetrics(registry: Registry): Pick<Metrics, "requestStarted" | "requestFinished"> {
  const labelNames = ["operation"];
  const seriesMax = OPERATION_SERIES_MAX;
  const total = new CounterSeries(registry, {
    name: "bulkhead_s3_requests_total",
    help: "S3 requests answered, by operation and class of status",
    labelNames: ["operation", "status"],
    seriesMax: OPERATION_SERIES_MAX * 5,
  });
  const seconds = new HistogramSeries(registry, {
    name: "bulkhead_s3_request_duration_seconds",
    help: "From a request's headers to the end of its answer",
    labelNames,
    seriesMax,
    bounds: DURATION_BOUNDS_SECONDS,
  });
  const received = new CounterSeries(registry, {
    name: "bulkhead_s3_received_bytes_total",
    help: "Bytes of request bodies",
    labelNames,
    seriesMax,
  });
  const sent = new CounterSeries(registry, {
    name: "bulkhead_s3_sent_bytes_total",
    help: "Bytes of answers' bodies",
    labelNames,
    seriesMax,
  });
  let inFlight = 0;
  liveGauge(registry, "bulkhead_s3_requests_in_flight", "S3 requests that are being served", () => inFlight);
  const slots = new Map<string, RequestSlots>();
  const slotsOf = (operation: string): RequestSlots => ({
    statuses: new Map(),
    seconds: seconds.series(operation),
    received: received.series(operation),
    sent: sent.series(operation),
  });
  return {
    requestStarted() {
      inFlight++;
    },
    requestFinished({ operation, status, durationMs, receivedBytes, sentBytes }) {
      inFlight--;
      const own = getOrMake(slots, operation, () => slotsOf(operation));
      const statusClass = Math.trunc(status / 100);
      total.add(getOrMake(own.statuses, statusClass, () => total.series(operation, `${statusClass}xx`)));
      seconds.observe(own.seconds, durationMs / 1000);
      received.add(own.received, receivedBytes);
      sent.add(own.sent, sentBytes);
    },
  };
}

/** Found once for each S3 operation. */
interface RequestSlots {
  readonly statuses: Map<number, SeriesSlot>;
  readonly seconds: SeriesSlot;
  readonly received: SeriesSlot;
  readonly sent: SeriesSlot;
}

function copyMetrics(
  registry: Registry,
): Pick<Metrics, "writeDecided" | "badCopyFound" | "copyRestored" | "watchBacklog"> {
  const writes = new CounterSeries(registry, {
    name: "bulkhead_writes_total",
    help: "Writes by the class in which they were acknowledged; `no`: refused for want of nodes",
    labelNames: ["acknowledgement"],
    seriesMax: 8,
  });
  const bad = new CounterSeries(registry, {
    name: "bulkhead_bad_copies_total",
    help: "Copies found corrupt or missing",
    labelNames: ["node", "state"],
    seriesMax: NODES_MAX * 2,
  });
  const restored = new CounterSeries(registry, {
    name: "bulkhead_copies_restored_total",
    help: "Copies made after their write, by cause",
    labelNames: ["cause"],
    seriesMax: 16,
  });
  const restoredBytes = new CounterSeries(registry, {
    name: "bulkhead_restored_bytes_total",
    help: "Bytes of copies made after their write, by cause",
    labelNames: ["cause"],
    seriesMax: 16,
  });
  return {
    writeDecided: (acknowledgement) => writes.add(writes.series(acknowledgement)),
    badCopyFound: (node, state) => bad.add(bad.series(node, state)),
    copyRestored(cause, bytes) {
      restored.add(restored.series(cause));
      restoredBytes.add(restoredBytes.series(cause), bytes);
    },
    watchBacklog(read) {
      new Gauge({
        name: "bulkhead_backlog",
        help: "Copies and blobs that wait for work, by what is the matter with them",
        labelNames: ["kind"],
        registers: [registry],
        async collect() {
          this.reset();
          const backlog = await settle(read);
          for (const kind of BACKLOG_KINDS) {
            const count = backlog?.[kind];
            if (count !== undefined) this.set({ kind }, count);
          }
        },
      });
    },
  };
}
