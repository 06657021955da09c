/**
 * What each gateway sees of nodes that are away, in the catalog, for the leader to count: `health-report/<session>`. There
 * is one only while there is something to report, and it is written again at every interval, so that a reader tells a
 * report that is kept up from one whose gateway is gone without comparing two clocks.
 */
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { healthReportKey, healthReportsRange, sessionOfHealthReport } from "../../catalog/keys.ts";
import { decodeRecord, encodeRecord } from "../../catalog/records/codec.ts";
import { type Id, idBytes } from "../../shared/ids.ts";

const REPORT_FORMAT = 1;

export interface HealthReport {
  /** Grows whenever the gateway writes it. */
  readonly beat: number;
  /** Probes missed in a row, of the nodes that are unreachable to it. */
  readonly missed: ReadonlyMap<Id, number>;
}

export function encodeHealthReport({ beat, missed }: HealthReport): Buffer {
  return encodeRecord(REPORT_FORMAT, [beat, [...missed].map(([uuid, count]) => [idBytes(uuid), count])]);
}

/** @throws RecordError */
export function decodeHealthReport(value: Uint8Array): HealthReport {
  const reader = decodeRecord("health report", value, REPORT_FORMAT);
  const beat = reader.int();
  return { beat, missed: new Map(reader.list((entry) => [entry.id(), entry.int()] as const)) };
}

/** Writes this gateway's report, or removes it where there is nothing to report. @throws CatalogError */
export async function writeReport(catalog: Catalog, report: HealthReport): Promise<void> {
  const key = healthReportKey(catalog.session);
  if (report.missed.size > 0) {
    await catalog.commit(catalog.begin().set(key, encodeHealthReport(report)));
  } else if ((await catalog.kv.get(key)) !== undefined) {
    await catalog.commit(catalog.begin().delete(key));
  }
}

/** The reports by session. @throws CatalogError; RecordError */
export async function readReports(catalog: Catalog): Promise<ReadonlyMap<number, HealthReport>> {
  const reports = new Map<number, HealthReport>();
  for await (const { key, value } of walk(catalog.kv, healthReportsRange())) {
    reports.set(sessionOfHealthReport(key), decodeHealthReport(value));
  }
  return reports;
}

/** Removes the reports of sessions that have ended. @throws CatalogError */
export async function forgetReports(catalog: Catalog, sessions: readonly number[]): Promise<void> {
  if (sessions.length === 0) return;
  const atomic = catalog.begin();
  for (const session of sessions) atomic.delete(healthReportKey(session));
  await catalog.commit(atomic);
}
