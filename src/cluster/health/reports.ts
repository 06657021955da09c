/**
 * What each gateway sees of nodes that are away, in the catalog, for the leader to count: `health-report/<session>`. There
 * is one only while there is something to report, and it is written again at every interval, so that a reader tells a
 * report that is kept up from one whose gateway is gone without comparing two clocks.
 */
import { type Catalog, walk } from "../../catalog/catalog.ts";
import {
  healthReportKey,
  healthReportsRange,
  sessionOfHealthReport,
  sessionOfSessionKey,
  sessionsRange,
} from "../../catalog/keys.ts";
import { decodeSession } from "../../catalog/records/cluster.ts";
import { decodeRecord, encodeRecord } from "../../catalog/records/codec.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Id, idBytes } from "../../shared/ids.ts";
import type { Member, Members } from "../members.ts";
import { MISSED_DEGRADED } from "./transitions.ts";

const REPORT_FORMAT = 1;
/** Intervals in which a report must have been written again to count. */
const FRESH_INTERVALS = 3;

export interface HealthReport {
  /** Grows whenever the gateway writes it. */
  readonly beat: number;
  /** Probes missed in a row, of the nodes that have missed several. */
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

/** Writes what this gateway misses, at every interval. */
export class OwnReport {
  readonly #catalog: Catalog;
  readonly #members: () => Members;
  #beat = 0;

  constructor({ catalog, members }: { readonly catalog: Catalog; readonly members: () => Members }) {
    this.#catalog = catalog;
    this.#members = members;
  }

  /** @throws CatalogError */
  async write(): Promise<void> {
    this.#beat += 1;
    const away = this.#members().all().filter(isMissed);
    const missed = new Map(away.map(({ spec, missedProbes }) => [spec.uuid, missedProbes]));
    await writeReport(this.#catalog, { beat: this.#beat, missed });
  }
}

function isMissed({ state, missedProbes }: Member): boolean {
  return state === "unreachable" || (state !== "decommissioned" && missedProbes >= MISSED_DEGRADED);
}

/** Tells reports that are kept up from those of gateways that have stopped writing them. */
export class FreshReports {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** The beat of each report, and when it was first seen: monotonic. */
  readonly #beats = new Map<number, { readonly beat: number; readonly seenMs: number }>();

  constructor({ clock, intervalMs }: { readonly clock: Clock; readonly intervalMs: number }) {
    this.#clock = clock;
    this.#maxAgeMs = FRESH_INTERVALS * intervalMs;
  }

  /** Those of the reports that are kept up. To be asked at every interval. */
  of(reports: ReadonlyMap<number, HealthReport>): ReadonlyMap<number, HealthReport> {
    const nowMs = this.#clock.monotonicMs();
    for (const session of this.#beats.keys()) if (!reports.has(session)) this.#beats.delete(session);
    return new Map(
      [...reports].filter(([session, { beat }]) => {
        const known = this.#beats.get(session);
        if (known?.beat !== beat) this.#beats.set(session, { beat, seenMs: nowMs });
        return nowMs - (this.#beats.get(session)?.seenMs ?? nowMs) <= this.#maxAgeMs;
      }),
    );
  }
}

/** Sessions of the gateways that live. @throws CatalogError */
export async function liveSessions(catalog: Catalog): Promise<ReadonlySet<number>> {
  const live = new Set<number>();
  for await (const { key, value } of walk(catalog.kv, sessionsRange())) {
    if (decodeSession(value).state === "live") live.add(sessionOfSessionKey(key));
  }
  return live;
}
