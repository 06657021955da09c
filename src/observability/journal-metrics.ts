/** Metrics of the catalog's journal. */
import { Counter, Gauge, type Registry } from "prom-client";
import { settle } from "./gauges.ts";

export interface JournalGauges {
  readonly lagMs: number;
  readonly durableVersion: number;
  /** Since the process started. */
  readonly written: { readonly segments: number; readonly bytes: number; readonly failures: number };
  /** Bytes of all pieces on all nodes. */
  readonly bytes: number;
  /** Undefined while it is not known, or there is none. */
  readonly snapshotAgeMs?: number;
  /** Undefined while it is not known. */
  readonly rebuildable?: boolean;
  readonly missingCommits: number;
  readonly domains: readonly { readonly domain: string; readonly lagCommits: number }[];
}

export interface JournalMetrics {
  /** Asked once at every scrape. What it throws leaves these metrics out of that scrape. */
  watchJournal(read: () => JournalGauges): void;
}

export function journalMetrics(registry: Registry): JournalMetrics {
  return { watchJournal: (read) => watch(registry, read) };
}

function watch(registry: Registry, readNow: () => JournalGauges): void {
  // All of them are collected in one turn: one walk over the journal serves them all.
  let reading: Promise<JournalGauges | undefined> | undefined;
  const read = (): Promise<JournalGauges | undefined> => {
    reading ??= settle(readNow).finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const gauge = (name: string, help: string, value: (from: JournalGauges) => number | undefined): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.reset();
        const from = await read();
        const known = from === undefined ? undefined : value(from);
        if (known === undefined) this.remove();
        else this.set(known);
      },
    });
  };
  const counter = (name: string, help: string, value: (from: JournalGauges) => number): void => {
    new Counter({
      name,
      help,
      registers: [registry],
      async collect() {
        const from = await read();
        if (from === undefined) return;
        this.reset();
        this.inc(value(from));
      },
    });
  };
  gauge(
    "bulkhead_journal_lag_seconds",
    "Age of the oldest commit that the catalog's journal does not have; 0 without one",
    ({ lagMs }) => lagMs / 1000,
  );
  gauge(
    "bulkhead_journal_durable_version",
    "The last commit that is durable in the catalog's journal",
    ({ durableVersion }) => durableVersion,
  );
  gauge("bulkhead_journal_bytes", "Bytes of the catalog's journal on all nodes", (from) => from.bytes);
  gauge(
    "bulkhead_journal_snapshot_age_seconds",
    "Age of the newest snapshot of the catalog on the nodes",
    ({ snapshotAgeMs }) => snapshotAgeMs && snapshotAgeMs / 1000,
  );
  gauge(
    "bulkhead_journal_rebuildable",
    "1 while the nodes hold all that a rebuild of the catalog takes, else 0",
    ({ rebuildable }) => (rebuildable === undefined ? undefined : Number(rebuildable)),
  );
  gauge(
    "bulkhead_journal_missing_commits",
    "Commits since the oldest kept snapshot that no node holds",
    ({ missingCommits }) => missingCommits,
  );
  counter(
    "bulkhead_journal_segments_total",
    "Segments of the catalog's journal that were written",
    ({ written }) => written.segments,
  );
  counter(
    "bulkhead_journal_written_bytes_total",
    "Bytes of segments of the catalog's journal that were written, each counted once",
    ({ written }) => written.bytes,
  );
  counter(
    "bulkhead_journal_failures_total",
    "Attempts to write the catalog's journal that failed",
    ({ written }) => written.failures,
  );
  new Gauge({
    name: "bulkhead_journal_domain_lag_commits",
    help: "Durable commits that the nodes of a domain do not have",
    labelNames: ["domain"],
    registers: [registry],
    async collect() {
      this.reset();
      for (const { domain, lagCommits } of (await read())?.domains ?? []) this.set({ domain }, lagCommits);
    },
  });
}
