/** How long ago the copies on each node were verified, by the last pass over the catalog. */
import { Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";
import { registerSeries, type ScrapedValue } from "./series.ts";

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** Upper bounds of the buckets that ages are counted in, ascending. */
export const AGE_BOUNDS_SECONDS: readonly number[] = [
  HOUR,
  6 * HOUR,
  DAY,
  2 * DAY,
  4 * DAY,
  7 * DAY,
  14 * DAY,
  21 * DAY,
  30 * DAY,
  45 * DAY,
  60 * DAY,
  90 * DAY,
  180 * DAY,
  365 * DAY,
];

export interface VerifiedAgeGauges {
  readonly node: string;
  readonly domain: string;
  /** Copies in each bucket alone, and last those above all bounds or of unknown age. */
  readonly counts: readonly number[];
  /** Of the known ages. */
  readonly sumSeconds: number;
  /** Wall clock of the end of the pass. */
  readonly passEndedAtMs: number;
}

export interface VerifiedAgeMetrics {
  /** Asked at every scrape: of the last pass, never a new one. What it throws leaves the series out of that scrape. */
  watchVerifiedAges(read: () => readonly VerifiedAgeGauges[]): void;
}

export function verifiedAgeMetrics(registry: Registry): VerifiedAgeMetrics {
  return {
    watchVerifiedAges(read) {
      const name = "bulkhead_copy_verified_age_seconds";
      registerSeries(registry, {
        name,
        help: "Copies on record as good by the time since they were read whole or made, as of the last daily pass",
        type: "histogram",
        read: async () => ((await settle(read)) ?? []).flatMap((node) => histogram(name, node)),
      });
      new Gauge({
        name: "bulkhead_copy_verified_age_pass_timestamp_seconds",
        help: "When the pass that bulkhead_copy_verified_age_seconds is of ended, in seconds since 1970",
        labelNames: ["node"],
        registers: [registry],
        async collect() {
          this.reset();
          for (const { node, passEndedAtMs } of (await settle(read)) ?? []) this.set({ node }, passEndedAtMs / 1000);
        },
      });
    },
  };
}

function histogram(name: string, { node, domain, counts, sumSeconds }: VerifiedAgeGauges): ScrapedValue[] {
  const labels = { node, domain };
  let count = 0;
  const buckets = [...AGE_BOUNDS_SECONDS, "+Inf"].map((le, bucket): ScrapedValue => {
    count += counts[bucket] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sumSeconds },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
