/** Metrics of the storage nodes. */
import { Counter, Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import {
  CounterSeries,
  DURATION_BOUNDS_SECONDS,
  getOrMake,
  HistogramSeries,
  NODES_MAX,
  type SeriesSlot,
} from "./series.ts";

/** Operations of a node times the outcomes that each really has. */
const SERIES_A_NODE = 24;
const NODE_OPERATIONS_MAX = 16;

/** Live numbers of one node; the shape that the metrics wrapper of nodes reports to. */
export interface NodeOperationMetrics {
  started(operation: string): void;
  /** @param outcome `ok` or the kind of the NodeError */
  finished(operation: string, outcome: string, durationMs: number, bytes: number): void;
}

export interface NodeGauges {
  readonly node: string;
  readonly domain: string;
  readonly online: boolean;
  /** 0 (idle) to 1. */
  readonly loadScore: number;
}

export interface NodeMetrics {
  /** The counters of a node's operations; to be asked for once a node. */
  node(name: string): NodeOperationMetrics;
  /** Counts a change of a node's health. */
  nodeStateChanged(node: string, state: string): void;
  /** Asked at every scrape. What it throws leaves the gauges out of that scrape. */
  watchNodes(read: () => Iterable<NodeGauges>): void;
  /** Asked at every scrape, for the volumes that are open. */
  watchVolumes(read: () => Iterable<VolumeAmounts>): void;
}

/** What a volume node's disk is used for, and what compaction did since it was opened. */
export interface VolumeAmounts {
  readonly node: string;
  readonly liveBytes: number;
  readonly deadBytes: number;
  readonly compaction: {
    readonly runs: number;
    readonly failures: number;
    readonly movedBytes: number;
    readonly removedBytes: number;
    readonly damagedRecords: number;
  };
}

export function nodeMetrics(registry: Registry): NodeMetrics {
  const operations = new CounterSeries(registry, {
    name: "s3_node_operations_total",
    help: "Operations on a storage node, by outcome: `ok` or the kind of error",
    labelNames: ["node", "operation", "outcome"],
    seriesMax: NODES_MAX * SERIES_A_NODE,
  });
  // Histograms of every node would make a scrape of many nodes too long: their means follow from these sums.
  const busySeconds = new CounterSeries(registry, {
    name: "s3_node_operation_seconds_total",
    help: "Time spent in operations on a storage node",
    labelNames: ["node", "operation"],
    seriesMax: NODES_MAX * NODE_OPERATIONS_MAX,
  });
  const seconds = new HistogramSeries(registry, {
    name: "s3_node_operation_duration_seconds",
    help: "Duration of operations on all storage nodes",
    labelNames: ["operation"],
    seriesMax: NODE_OPERATIONS_MAX,
    bounds: DURATION_BOUNDS_SECONDS,
  });
  const bytes = new CounterSeries(registry, {
    name: "s3_node_bytes_total",
    help: "Bytes sent to and received from a storage node",
    labelNames: ["node", "operation"],
    seriesMax: NODES_MAX * NODE_OPERATIONS_MAX,
  });
  const changes = new CounterSeries(registry, {
    name: "s3_node_state_changes_total",
    help: "Changes of a storage node's health, by the state that it came to",
    labelNames: ["node", "state"],
    seriesMax: NODES_MAX * 8,
  });
  const inFlight = new Map<string, { count: number }>();
  inFlightGauge(registry, inFlight);
  const slotsOf = (node: string, operation: string): NodeOperationSlots => ({
    outcomes: new Map(),
    busySeconds: busySeconds.series(node, operation),
    seconds: seconds.series(operation),
    bytes: bytes.series(node, operation),
  });
  return {
    node(name) {
      const slots = new Map<string, NodeOperationSlots>();
      const running = getOrMake(inFlight, name, () => ({ count: 0 }));
      return {
        started() {
          running.count++;
        },
        finished(operation, outcome, durationMs, moved) {
          running.count--;
          const own = getOrMake(slots, operation, () => slotsOf(name, operation));
          operations.add(getOrMake(own.outcomes, outcome, () => operations.series(name, operation, outcome)));
          busySeconds.add(own.busySeconds, durationMs / 1000);
          seconds.observe(own.seconds, durationMs / 1000);
          bytes.add(own.bytes, moved);
        },
      };
    },
    nodeStateChanged: (node, state) => changes.add(changes.series(node, state)),
    watchNodes: (read) => nodeGauges(registry, read),
    watchVolumes: (read) => volumeMetrics(registry, read),
  };
}

/** Found once for each operation of a node: joining labels would cost more than counting. */
interface NodeOperationSlots {
  readonly outcomes: Map<string, SeriesSlot>;
  readonly busySeconds: SeriesSlot;
  readonly seconds: SeriesSlot;
  readonly bytes: SeriesSlot;
}

function nodeGauges(registry: Registry, read: () => Iterable<NodeGauges>): void {
  const labelNames = ["node", "domain"] as const;
  const gauge = (name: string, help: string, value: (node: NodeGauges) => number): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        this.reset();
        for (const node of (await settle(read)) ?? []) {
          this.set({ node: node.node, domain: node.domain }, value(node));
        }
      },
    });
  };
  gauge("s3_node_online_status", "1 while a storage node is online, else 0", ({ online }) => (online ? 1 : 0));
  gauge("s3_node_load_score", "Load of a storage node, from 0 (idle) to 1", ({ loadScore }) => loadScore);
}

function volumeMetrics(registry: Registry, read: () => Iterable<VolumeAmounts>): void {
  const metric = (
    type: "gauge" | "counter",
    name: string,
    help: string,
    value: (of: VolumeAmounts) => number,
  ): void => {
    const options = { name, help, labelNames: ["node"] as const, registers: [registry] };
    const made = type === "gauge" ? new Gauge({ ...options, collect }) : new Counter({ ...options, collect });
    async function collect(): Promise<void> {
      made.reset();
      for (const volume of (await settle(read)) ?? []) made.inc({ node: volume.node }, value(volume));
    }
  };
  const { gauge, counter } = { gauge: "gauge", counter: "counter" } as const;
  metric(gauge, "bulkhead_volume_live_bytes", "Bytes of copies that are kept on a volume node", (of) => of.liveBytes);
  metric(gauge, "bulkhead_volume_dead_bytes", "Bytes that compaction may give back", (of) => of.deadBytes);
  metric(counter, "bulkhead_compaction_runs_total", "Volumes that were compacted", (of) => of.compaction.runs);
  metric(counter, "bulkhead_compaction_failures_total", "Compactions that failed", (of) => of.compaction.failures);
  metric(
    counter,
    "bulkhead_compaction_moved_bytes_total",
    "Bytes that compaction appended anew",
    (of) => of.compaction.movedBytes,
  );
  metric(
    counter,
    "bulkhead_compaction_removed_bytes_total",
    "Bytes of volumes that compaction removed",
    (of) => of.compaction.removedBytes,
  );
  metric(
    counter,
    "bulkhead_compaction_damaged_copies_total",
    "Copies that compaction found not to match their checksums",
    (of) => of.compaction.damagedRecords,
  );
}

function inFlightGauge(registry: Registry, inFlight: ReadonlyMap<string, { readonly count: number }>): void {
  new Gauge({
    name: "s3_node_operations_in_flight",
    help: "Operations on a storage node that have not ended",
    labelNames: ["node"],
    registers: [registry],
    collect() {
      for (const [node, { count }] of inFlight) this.set({ node }, count);
    },
  });
}
