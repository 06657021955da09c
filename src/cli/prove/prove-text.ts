/** How proofs are shown to people. */
import type { CopyStates, DurabilityAnswer, ObjectProof } from "../../admin/prove/prove-types.ts";
import { formatSince, formatSpan, printable } from "../age-text.ts";
import { formatBytes, formatFields } from "../text.ts";
import type { ProveSummary } from "./prove-summary.ts";

const WIDTHS = [8, 9, 14, 10, 11] as const;

/** Columns of a fixed width, as lines are printed one by one; what may be of any length comes last. */
function line(cells: readonly string[]): string {
  return `${cells.map((cell, at) => (at < WIDTHS.length ? `${cell.padEnd((WIDTHS[at] ?? 0) - 1)} ` : cell)).join("")}\n`;
}

export const PROOF_HEAD = line(["COPIES", "DOMAINS", "IN", "VERIFIED", "SIZE", "OBJECT"]);

/** `2/2      2        a,b           3 d       1.0 MiB    box/key`; with what is the matter behind it, if anything is. */
export function formatProof(proof: ObjectProof, nowMs: number): string {
  const { good_copies, wanted_copies, domain_count, domains, verified_at, size, bucket, key, states } = proof;
  const name = `${bucket}/${printable(key)}`;
  const known = good_copies === null ? "-" : `${good_copies}/${wanted_copies}`;
  const bad = proof.below_policy || proof.reachable_copies === 0 || states.ok + states.surplus < total(states);
  return line([
    known,
    domain_count === null ? "-" : String(domain_count),
    domains.join(",") || "-",
    formatSince(verified_at, nowMs),
    formatBytes(size),
    bad ? `${name}  [${matter(proof)}]` : name,
  ]);
}

function matter({ below_policy, reachable_copies, states }: ObjectProof): string {
  const parts = [
    ...(below_policy ? ["below policy"] : []),
    ...(reachable_copies === 0 ? ["not reachable now"] : []),
    formatStates(states),
  ];
  return parts.join("; ");
}

function formatStates(states: CopyStates): string {
  const present = Object.entries(states).filter(([, count]) => count > 0);
  return present.map(([state, count]) => `${state} ${count}`).join(", ");
}

function total(states: CopyStates): number {
  return Object.values(states).reduce((sum, count) => sum + count, 0);
}

export function formatSummary(summary: ProveSummary, nowMs: number): string {
  const { objects, bytes, empty_objects, replication_factor, below_policy, under, unreachable } = summary;
  return formatFields([
    ["Objects", `${objects} (${formatBytes(bytes)})${empty_objects === 0 ? "" : `, ${empty_objects} of them empty`}`],
    ["By good copies", formatCounts(summary.objects_by_good_copies, "copies")],
    ["By domains", formatCounts(summary.objects_by_domains, "domains")],
    ["Copies on record", formatStates(summary.states) || "none"],
    ["Below policy", `${below_policy} (replication factor ${replication_factor})`],
    ...(under === null ? [] : ([["Under --fail-under", String(under)]] as const)),
    ["Not reachable now", String(unreachable)],
    ["Verified", formatVerified(summary, nowMs)],
    ["Time to restore", formatRestore(summary.durability)],
    ["Durability", formatDurability(summary.durability)],
  ]);
}

/** `2 copies: 990, 1 copy: 7`, the worst first. */
function formatCounts(counts: Readonly<Record<string, number>>, unit: "copies" | "domains"): string {
  const one = unit === "copies" ? "copy" : "domain";
  const parts = Object.entries(counts).map(([value, count]) => `${value} ${value === "1" ? one : unit}: ${count}`);
  return parts.join(", ") || "-";
}

function formatVerified(
  { oldest_verified_at, median_verified_age_seconds, verification_unknown }: ProveSummary,
  nowMs: number,
): string {
  const unknown = verification_unknown === 0 ? "" : `; of ${verification_unknown} objects it is not known`;
  if (oldest_verified_at === null || median_verified_age_seconds === null) return `-${unknown}`;
  const median = formatSpan(median_verified_age_seconds);
  return `the oldest ${formatSince(oldest_verified_at, nowMs)} ago, the median ${median} ago${unknown}`;
}

function formatRestore({ mean_time_to_restore_seconds: seconds, restored_copies }: DurabilityAnswer): string {
  if (seconds === null) return "not measured yet: no lost copy was made anew";
  const time = seconds < 1 ? "less than 1 s" : formatSpan(seconds);
  return `${time} from a copy's loss being known (mean of ${restored_copies})`;
}

function formatDurability(answer: DurabilityAnswer): string {
  const { copies, annual_failure_rate, annual_loss_probability, mean_time_to_loss_years } = answer;
  if (annual_loss_probability === null || mean_time_to_loss_years === null) return "not measured yet";
  const model = `${copies} ${copies === 1 ? "copy" : "copies"}, ${Number((annual_failure_rate * 100).toPrecision(6))} % of nodes lost a year`;
  return `${formatNines(annual_loss_probability)} a year for one object, by estimate (${model})`;
}

/** `99.99999 %`: with as many nines as there are, and two digits behind. */
export function formatNines(lossProbability: number): string {
  if (lossProbability <= 0) return "100 %";
  // What a percentage loses of precision next to 100 is brought back by digits behind the point.
  const digits = Math.max(2, Math.ceil(-Math.log10(lossProbability * 100)) + 1);
  if (digits > DIGITS_MAX) return `more than ${"99."}${"9".repeat(DIGITS_MAX)} %`;
  return `${(100 - lossProbability * 100).toFixed(digits)} %`;
}

/** As far as a number tells 100 from what is a little less. */
const DIGITS_MAX = 12;
