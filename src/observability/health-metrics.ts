/** Metrics of the nodes' health and of events. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { CounterSeries } from "./series.ts";

export interface NodeHealthGauges {
  readonly node: string;
  readonly state: string;
  readonly conditions: readonly string[];
  readonly missedProbes: number;
}

export interface HealthMetrics {
  /** Counts an event that this gateway put on record. */
  eventRecorded(kind: string): void;
  /** Asked at every scrape. What it throws leaves the gauges out of that scrape. */
  watchHealth(read: () => Iterable<NodeHealthGauges>): void;
}

/** More than there are kinds of events. */
const EVENT_KINDS_MAX = 32;

export function healthMetrics(registry: Registry): HealthMetrics {
  const events = new CounterSeries(registry, {
    name: "bulkhead_events_total",
    help: "Events that this gateway put on record, by kind",
    labelNames: ["kind"],
    seriesMax: EVENT_KINDS_MAX,
  });
  return {
    eventRecorded: (kind) => events.add(events.series(kind)),
    watchHealth(read) {
      healthGauge(
        registry,
        { name: "s3_node_state", help: "1 for the state that a storage node is in", read },
        (node) => [[{ state: node.state }, 1]],
      );
      const condition = { name: "s3_node_condition", help: "1 for each condition that a storage node is in", read };
      healthGauge(registry, condition, ({ conditions }) => conditions.map((each) => [{ condition: each }, 1]));
      const missed = { name: "s3_node_missed_probes", help: "Probes that a storage node missed in a row", read };
      healthGauge(registry, missed, ({ missedProbes }) => [[{}, missedProbes]]);
    },
  };
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

function healthGauge(
  registry: Registry,
  {
    name,
    help,
    read,
  }: { readonly name: string; readonly help: string; readonly read: () => Iterable<NodeHealthGauges> },
  samples: (node: NodeHealthGauges) => readonly Sample[],
): void {
  const further = { s3_node_state: ["state"], s3_node_condition: ["condition"] }[name] ?? [];
  new Gauge({
    name,
    help,
    labelNames: ["node", ...further],
    registers: [registry],
    async collect() {
      this.reset();
      for (const node of (await settle(read)) ?? []) {
        for (const [labels, value] of samples(node)) this.set({ node: node.node, ...labels }, value);
      }
    },
  });
}
