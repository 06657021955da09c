/** The cluster on one screen. Pure: what was asked for, at a time, for a width and a height. */
import type { Domains, Worker } from "../../admin/api-types.ts";
import { formatSince, formatSpan } from "../age-text.ts";
import { formatCoordinator } from "../coordinator-text.ts";
import { formatJournal } from "../journal-text.ts";
import { formatBytes } from "../text.ts";
import { bar, type Cell, columns, type Screen, type Span, type Style, textLine } from "./layout.ts";
import type { ShownEvent, ShownJob, StatusView } from "./status-view.ts";

export interface Frame extends Screen {
  /** Lines; no limit when absent. */
  readonly height: number | undefined;
  readonly nowMs: number;
}

const WIDE_FROM = 100;
const BAR_WIDE = 20;
const BAR_NARROW = 10;
const EVENTS_SHOWN = 5;
const JOBS_SHOWN = 8;
/** Of the lists that are cut first, so that no section vanishes. */
const ROWS_MIN = 3;
/** A node, or a domain, that is fuller is shown as such. */
const FULL_SHARE = 0.9;

/** The lines of the screen, none longer than its width. */
export function renderStatus(view: StatusView, frame: Frame): string[] {
  const head = [...summary(view, frame), ...copies(view, frame)];
  const domains = domainRows(view.domains, frame);
  const jobs = jobRows(view.jobs ?? [], frame);
  const events = (view.events ?? []).slice(-EVENTS_SHOWN).toReversed();
  const eventLines = columns(events.map(eventRow), frame);
  const others = head.length + section(domains).length + section(jobs).length + section(eventLines).length;
  const nodeRoom = frame.height === undefined ? Number.POSITIVE_INFINITY : frame.height - others - 2;
  const lines = [
    ...head,
    ...titled("DOMAINS", domains, frame),
    ...titled("NODES", nodeRows(view.workers, nodeRoom, frame), frame),
    ...titled("JOBS", jobs, frame),
    ...titled("EVENTS", eventLines, frame),
  ];
  return frame.height === undefined ? lines : lines.slice(0, frame.height);
}

function section(rows: readonly string[]): readonly string[] {
  return rows.length === 0 ? [] : ["", "", ...rows];
}

function titled(title: string, rows: readonly string[], frame: Frame): string[] {
  return rows.length === 0 ? [] : ["", textLine([{ text: title, style: "head" }], frame), ...rows];
}

function summary({ status, domains }: StatusView, frame: Frame): string[] {
  const { worker_count: all, workers_healthy: healthy, total_capacity_bytes: total, used_bytes: used } = status;
  const health: Span = status.cluster_healthy
    ? { text: "healthy", style: "good" }
    : { text: "not healthy", style: "bad" };
  const { failure } = status.journal;
  return [
    ["Cluster:   ", health],
    ["Nodes:     ", { text: `${healthy} of ${all} healthy`, ...(healthy < all ? { style: "bad" } : {}) } as Span],
    [
      "Capacity:  ",
      total === 0
        ? "- (no node tells it)"
        : `${bar(used / total, barWidth(frame))}  ${formatBytes(used)} of ${formatBytes(total)}, ${formatBytes(status.free_bytes)} free`,
    ],
    ["Policy:    ", `factor ${domains.replication_factor}, quorum ${domains.write_quorum}`],
    ["Journal:   ", { text: formatJournal(status.journal), ...(failure === null ? {} : { style: "bad" }) } as Span],
    ["Leader:    ", formatCoordinator(status.coordinator)],
    ...(status.master_id === null ? [] : [["Master:    ", status.master_id]]),
  ].map((cells) => textLine(cells, frame));
}

function copies({ replication }: StatusView, frame: Frame): string[] {
  const { oldest_missing_since, orphans, dying_blobs } = replication;
  const counts = [
    ["missing", replication.missing, "bad"],
    ["handoff", replication.handoff, "warn"],
    ["unverified", replication.unverified, "warn"],
    ["corrupt", replication.corrupt, "bad"],
    ["dead letters", replication.dead_letters, "bad"],
  ] as const;
  const cells = counts.flatMap(([name, count, style], at): Cell[] => [
    ...(at === 0 ? [] : [", "]),
    count === 0 ? `${name} 0` : { text: `${name} ${count}`, style },
  ]);
  const since =
    oldest_missing_since === null ? [] : [` (missing for ${formatSince(oldest_missing_since, frame.nowMs)})`];
  const waiting =
    orphans + dying_blobs === 0 ? [] : [["Removal:   ", `dying blobs ${dying_blobs}, orphans ${orphans}`]];
  return [["Copies:    ", ...cells, ...since], ...waiting].map((line) => textLine(line, frame));
}

function barWidth({ width }: Frame): number {
  return width !== undefined && width < WIDE_FROM ? BAR_NARROW : BAR_WIDE;
}

function domainRows({ domains }: Domains, frame: Frame): string[] {
  const rows = domains.map((domain): Cell[] => {
    const { nodes_online: online, node_count: all, total_bytes: total, used_bytes: used } = domain;
    return [
      domain.name,
      domain.role === "active" && !domain.accepts_writes ? "active, no writes" : domain.role,
      { text: `${online}/${all} online`, ...(online < all ? { style: online === 0 ? "bad" : "warn" } : {}) } as Span,
      usage(total === 0 ? undefined : used / total, frame),
      total === 0 ? "-" : `${formatBytes(used)} of ${formatBytes(total)}`,
    ];
  });
  return columns(rows, frame);
}

function usage(share: number | undefined, frame: Frame): Span {
  const text = bar(share, barWidth(frame)) || "-";
  return share !== undefined && share >= FULL_SHARE ? { text, style: "warn" } : { text };
}

const STATE_STYLES: Readonly<Record<string, Style>> = {
  online: "good",
  joining: "warn",
  degraded: "warn",
};

function stateOf({ state, conditions, accepts_writes: accepts }: Worker): string {
  if (conditions.length > 0) return [state, ...conditions].join(", ");
  return accepts || state !== "online" ? state : `${state}, no writes`;
}

/** Those that are not online first where not all fit. */
function nodeRows(workers: readonly Worker[], room: number, frame: Frame): string[] {
  const styleOf = ({ state, conditions }: Worker): Style => {
    const style = STATE_STYLES[state] ?? "bad";
    return style === "good" && conditions.length > 0 ? "warn" : style;
  };
  const rowsMax = Math.max(ROWS_MIN, room - 1);
  const fits = workers.length <= rowsMax;
  const troubled = (worker: Worker): number => (styleOf(worker) === "good" ? 1 : 0);
  const shown = fits ? workers : workers.toSorted((a, b) => troubled(a) - troubled(b)).slice(0, rowsMax - 1);
  const head = ["NAME", "DOMAIN", "STATE", "SINCE", "LOAD", "USED", "OF", "REASON"].map(
    (text): Span => ({ text, style: "dim" }),
  );
  const rows = shown.map((worker): Cell[] => {
    const { total_bytes: total, used_bytes: used } = worker;
    return [
      worker.name,
      worker.domain === worker.home_domain ? worker.domain : `${worker.domain} (home: ${worker.home_domain})`,
      {
        text: stateOf(worker),
        style: styleOf(worker),
      },
      formatSince(worker.since, frame.nowMs),
      worker.load_score.toFixed(2),
      usage(total === null || used === null || total === 0 ? undefined : used / total, frame),
      formatBytes(total),
      worker.reason ?? "",
    ];
  });
  const left = workers.length - shown.length;
  return [
    ...columns([head, ...rows], frame),
    ...(left === 0 ? [] : [textLine([`and ${left} more: bulkhead nodes`], frame)]),
  ];
}

function jobRows(jobs: readonly ShownJob[], frame: Frame): string[] {
  const rows = jobs
    .slice(0, JOBS_SHOWN)
    .map(({ id, kind, subject, state, progress_pct, eta_seconds }): Cell[] => [
      kind,
      subject ?? "",
      { text: state, ...(state === "failed" ? { style: "bad" } : {}) } as Span,
      bar(progress_pct == null ? undefined : progress_pct / 100, barWidth(frame)) || "-",
      eta_seconds == null ? "" : `${formatSpan(eta_seconds)} left`,
      { text: id, style: "dim" },
    ]);
  const left = jobs.length - JOBS_SHOWN;
  return [...columns(rows, frame), ...(left <= 0 ? [] : [textLine([`and ${left} more: bulkhead jobs`], frame)])];
}

function eventRow({ at, kind, node, domain, cause }: ShownEvent): Cell[] {
  return [at.slice(0, 19).replace("T", " "), kind, node ?? domain ?? "", cause ?? ""];
}
