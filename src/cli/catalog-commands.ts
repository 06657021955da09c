/** The commands that look after a running gateway's catalog. */
import { API_PATHS } from "../admin/api-types.ts";
import {
  type JournalAnswer,
  journalSchema,
  rebuildSchema,
  snapshotSchema,
  type VerificationAnswer,
  verificationSchema,
} from "../admin/catalog-types.ts";
import { type Clock, sleep } from "../shared/clock.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatJournal } from "./journal-text.ts";
import { formatBytes, formatFields, formatTable } from "./text.ts";

const POLL_MS = 1_000;

export async function showCatalog(admin: AdminClient): Promise<Output> {
  const journal = await admin.get(API_PATHS.journal, journalSchema);
  const rebuild = await admin.get(API_PATHS.rebuild, rebuildSchema);
  const { snapshot, gaps, unlisted_nodes: unlisted } = journal;
  const fields: [string, string][] = [
    ["Journal", formatJournal(journal)],
    ["Commits", `${journal.version}; durable in the journal to ${journal.durable_version}`],
    ["On nodes", `${journal.segments} segments, ${formatBytes(journal.bytes)} with all copies and snapshots`],
    ["Snapshot", formatSnapshot(snapshot)],
    ["Rebuildable", rebuildable(journal)],
    ...(rebuild.orphans_held ? ([["Orphans", `kept: ${rebuild.reason ?? ""}`]] as [string, string][]) : []),
    ...gaps.map(({ from, through }): [string, string] => ["Gap", `commits ${from} to ${through}`]),
    ...(unlisted.length === 0 ? [] : ([["Not listed yet", unlisted.join(", ")]] as [string, string][])),
    ...journal.cursors.map(({ name, version }): [string, string] => ["Consumer", `${name}, at commit ${version}`]),
  ];
  const rows = journal.domains.map(({ domain, through, lag_commits: lag }) => [
    domain,
    numberOf(through),
    numberOf(lag),
  ]);
  return { json: journal, text: formatFields(fields) + formatTable(["DOMAIN", "THROUGH", "BEHIND"], rows) };
}

function formatSnapshot({ state, failure, newest }: JournalAnswer["snapshot"]): string {
  const made = newest === null ? "none" : `after commit ${newest.base}, made ${newest.made_at ?? "at a time unknown"}`;
  if (state !== "none") return `${made}; another one is ${state === "making" ? "being made" : "asked for"}`;
  return failure === null ? made : `${made}; the last one failed: ${failure}`;
}

function rebuildable({ rebuildable, missing_commits }: JournalAnswer): string {
  if (rebuildable === null) return "not known yet";
  if (missing_commits > 0) return `${rebuildable ? "yes" : "no"}, ${missing_commits} commits are on no node`;
  return rebuildable ? "yes" : "no";
}

function numberOf(count: number | null): string {
  return count === null ? "-" : String(count);
}

export async function acceptRebuild(admin: AdminClient): Promise<Output> {
  const before = await admin.get(API_PATHS.rebuild, rebuildSchema);
  const answer = await admin.post(API_PATHS.rebuild, rebuildSchema, {});
  const text = before.orphans_held
    ? "What the rebuild could not see is given up; orphans are collected again.\n"
    : "There is nothing to accept.\n";
  return { json: answer, text };
}

export async function makeSnapshot(admin: AdminClient): Promise<Output> {
  const answer = await admin.post(API_PATHS.snapshot, snapshotSchema, {});
  return { json: answer, text: "A snapshot of the catalog is being made; bulkhead catalog status shows it.\n" };
}

/** Begins a verification, or follows the one under way, to its end. @throws CliError */
export async function verifyCatalog(
  admin: AdminClient,
  { clock, tell }: { readonly clock: Clock; readonly tell: (line: string) => void },
): Promise<Output> {
  let answer = await admin.get(API_PATHS.verify, verificationSchema);
  if (answer.status !== "running") answer = await admin.post(API_PATHS.verify, verificationSchema, {});
  let told = "";
  while (answer.status === "running") {
    const progress = formatProgress(answer);
    if (progress !== told) tell(`${progress}\n`);
    told = progress;
    await sleep(clock, POLL_MS);
    answer = await admin.get(API_PATHS.verify, verificationSchema);
  }
  if (answer.status === "none") throw new CliError(EXIT.failed, "the gateway was restarted meanwhile");
  return { json: answer, text: formatVerification(answer), failed: answer.status !== "ok" };
}

const STEPS = {
  listing: "listing the journal on the nodes",
  pieces: "reading the journal",
  replay: "replaying the journal",
  entries: "comparing the catalog with the journal",
  copies: "comparing the catalog with the nodes",
} as const;

function formatProgress({ step, done, total }: VerificationAnswer): string {
  if (step === null) return "";
  return `${STEPS[step]}: ${done}${total === null ? "" : ` of ${total}`}`;
}

function formatVerification(answer: VerificationAnswer): string {
  const { findings, finding_count, domains, nodes, not_asked, failure } = answer;
  const more = finding_count - findings.length;
  const verdict =
    failure !== null
      ? `not verified: ${failure}`
      : finding_count === 0
        ? "nothing is wrong"
        : `${finding_count} findings`;
  const alone = domains.filter(({ sufficient }) => sufficient).map(({ domain }) => domain);
  const fields = formatFields([
    ["Verified", verdict],
    ["Journal", `${answer.pieces} pieces, to commit ${answer.durable_version ?? "-"}`],
    ["Catalog", `${answer.entries} entries`],
    ["Nodes", nodes.length === 0 ? "not compared" : `${nodes.length} compared`],
    ["Enough for a rebuild", alone.length === 0 ? "no domain alone" : `${alone.join(", ")} (each alone)`],
    ...(not_asked.length === 0 ? [] : ([["Not asked", not_asked.join(", ")]] as const)),
  ]);
  const lines = findings.map(({ kind, message }) => `${kind}: ${message}\n`).join("");
  return fields + lines + (more > 0 ? `and ${more} more\n` : "");
}
