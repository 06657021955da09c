/** Metrics of reads that are sent on to storage nodes. */
import type { Registry } from "prom-client";
import { CounterSeries, NODES_MAX } from "./series.ts";

export interface RedirectMetrics {
  /** Counts a read that was sent on to a node, or one that was not though its bucket wants it. */
  readRedirected(outcome: { readonly node: string } | { readonly declined: string }): void;
}

const REASONS_MAX = 16;

export function redirectMetrics(registry: Registry): RedirectMetrics {
  const redirects = new CounterSeries(registry, {
    name: "bulkhead_read_redirects_total",
    help: "Reads that were sent on to a storage node",
    labelNames: ["node"],
    seriesMax: NODES_MAX,
  });
  const declined = new CounterSeries(registry, {
    name: "bulkhead_read_redirects_declined_total",
    help: "Reads of buckets with read-redirect that were served here, by the reason",
    labelNames: ["reason"],
    seriesMax: REASONS_MAX,
  });
  return {
    readRedirected(outcome) {
      if ("node" in outcome) redirects.add(redirects.series(outcome.node));
      else declined.add(declined.series(outcome.declined));
    },
  };
}
