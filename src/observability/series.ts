/**
 * Counters and histograms for the hot path: adding to one is an addition in a typed array (6 ns; prom-client's own
 * take about 200). The registry asks for the values when it is scraped.
 */
import type { Metric, Registry } from "prom-client";

/** The place of one series, from `series()`. Valid for as long as its table. */
export type SeriesSlot = number;

export interface SeriesOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /**
   * Most combinations of labels. Later ones are counted together under `other`, as every series costs memory here and
   * in every Prometheus, and time at every scrape.
   */
  readonly seriesMax: number;
}

export interface ScrapedValue {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Nodes that metrics tell apart. */
export const NODES_MAX = 1000;
/** For histograms of requests and operations. */
export const DURATION_BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const SLOTS_AT_FIRST = 16;
const OVERFLOW = "other";

/** The combinations of labels that a metric has, each with `width` numbers. */
class SeriesTable {
  readonly options: SeriesOptions;
  readonly labels: Readonly<Record<string, string>>[] = [];
  values: Float64Array;
  readonly #width: number;
  readonly #slots = new Map<string, SeriesSlot>();

  constructor(options: SeriesOptions, width: number) {
    this.options = options;
    this.#width = width;
    this.values = new Float64Array(SLOTS_AT_FIRST * width);
  }

  slot(labelValues: readonly string[]): SeriesSlot {
    const key = labelValues.join("\0");
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const { labelNames, seriesMax } = this.options;
    if (labelValues.length !== labelNames.length) throw new RangeError(`${this.options.name} has other labels`);
    const overflow = labelNames.map(() => OVERFLOW);
    // The last place is kept for the overflow.
    if (this.labels.length >= seriesMax - 1 && key !== overflow.join("\0")) return this.slot(overflow);
    const slot = this.labels.length;
    this.labels.push(Object.fromEntries(labelNames.map((name, index) => [name, labelValues[index] ?? ""])));
    this.#slots.set(key, slot);
    this.#makeRoom(slot);
    return slot;
  }

  #makeRoom(slot: SeriesSlot): void {
    if ((slot + 1) * this.#width <= this.values.length) return;
    const grown = new Float64Array(this.values.length * 2);
    grown.set(this.values);
    this.values = grown;
  }
}

export class CounterSeries {
  readonly #table: SeriesTable;

  constructor(registry: Registry, options: SeriesOptions) {
    this.#table = new SeriesTable(options, 1);
    registerSeries(registry, { ...options, type: "counter", read: () => this.#read() });
  }

  /** Values in the order of the label names. */
  series(...labelValues: readonly string[]): SeriesSlot {
    return this.#table.slot(labelValues);
  }

  add(slot: SeriesSlot, amount = 1): void {
    const { values } = this.#table;
    values[slot] = (values[slot] ?? 0) + amount;
  }

  #read(): ScrapedValue[] {
    const { labels, values } = this.#table;
    return labels.map((own, slot) => ({ labels: own, value: values[slot] ?? 0 }));
  }
}

export interface HistogramOptions extends SeriesOptions {
  /** Upper bounds, ascending; the last bucket is unbounded and needs none. */
  readonly bounds: readonly number[];
}

export class HistogramSeries {
  readonly #table: SeriesTable;
  readonly #bounds: readonly number[];
  readonly #name: string;

  constructor(registry: Registry, options: HistogramOptions) {
    this.#bounds = options.bounds;
    this.#name = options.name;
    // A count for every bound and one for what is above them, then the sum.
    this.#table = new SeriesTable(options, options.bounds.length + 2);
    registerSeries(registry, { ...options, type: "histogram", read: () => this.#read() });
  }

  series(...labelValues: readonly string[]): SeriesSlot {
    return this.#table.slot(labelValues);
  }

  observe(slot: SeriesSlot, value: number): void {
    const bounds = this.#bounds;
    const { values } = this.#table;
    const at = slot * (bounds.length + 2);
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    values[at + bucket] = (values[at + bucket] ?? 0) + 1;
    const sum = at + bounds.length + 1;
    values[sum] = (values[sum] ?? 0) + value;
  }

  #read(): ScrapedValue[] {
    const { labels, values } = this.#table;
    const scraped: ScrapedValue[] = [];
    for (const [slot, own] of labels.entries()) {
      const at = slot * (this.#bounds.length + 2);
      let count = 0;
      for (const [bucket, le] of [...this.#bounds, "+Inf"].entries()) {
        count += values[at + bucket] ?? 0;
        scraped.push({ metricName: `${this.#name}_bucket`, labels: { ...own, le }, value: count });
      }
      const sum = values[at + this.#bounds.length + 1] ?? 0;
      scraped.push({ metricName: `${this.#name}_sum`, labels: own, value: sum });
      scraped.push({ metricName: `${this.#name}_count`, labels: own, value: count });
    }
    return scraped;
  }
}

interface Scraped {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "histogram";
  readonly read: () => ScrapedValue[] | Promise<ScrapedValue[]>;
}

/** The registry asks a metric for its values by `get`, and for no more; its types demand one of its own classes. */
export function registerSeries(registry: Registry, { name, help, type, read }: Scraped): void {
  const metric = {
    name,
    help,
    type,
    aggregator: "sum",
    get: async () => ({ name, help, type, values: await read() }),
  };
  registry.registerMetric(metric as unknown as Metric);
}

/** The value of a key, made at the first time. */
export function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
