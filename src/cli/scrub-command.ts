import { API_PATHS, type NodeScrub, type ScrubPassAnswer, scrubsSchema } from "../admin/api-types.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatBytes, formatTable } from "./text.ts";

/** @throws CliError */
export async function showScrub(
  admin: AdminClient,
  { node, start }: { readonly node?: string; readonly start?: boolean },
): Promise<Output> {
  const answer =
    start === true
      ? await admin.post(API_PATHS.scrub, scrubsSchema, node === undefined ? {} : { node })
      : await admin.get(API_PATHS.scrub, scrubsSchema);
  const nodes = answer.nodes.filter((candidate) => node === undefined || candidate.node === node);
  if (node !== undefined && nodes.length === 0) throw new CliError(EXIT.failed, `there is no node ${node}`);
  const head = [
    "NODE",
    "STATE",
    "PROGRESS",
    "VERIFIED",
    "CORRUPT",
    "LOST",
    "FAILED",
    "LAST PASS",
    "UNKNOWN",
    "FOREIGN",
  ];
  return { json: { ...answer, nodes }, text: formatTable(head, nodes.map(row)) };
}

/** Of the pass under way, else of the last one. */
function row(scrub: NodeScrub): string[] {
  const { pass, last_pass: last, comparison, foreign } = scrub;
  const shown = pass ?? last;
  return [
    scrub.node,
    scrub.state,
    pass === null ? "-" : progress(pass),
    shown === null ? "-" : `${shown.copies_verified} (${formatBytes(shown.bytes_verified)})`,
    shown === null ? "-" : String(shown.corrupt),
    shown === null ? "-" : String(shown.lost),
    shown === null ? "-" : String(shown.failed),
    last?.ended_at ?? "-",
    comparison === null ? "-" : String(comparison.unknown),
    foreign === null ? "-" : `${foreign.count}${foreign.more ? "+" : ""}`,
  ];
}

/** Copies come and go while a pass runs, so that it may see more than there were when it began. */
function progress({ copies_seen: seen, copies_total: total }: ScrubPassAnswer): string {
  return total === 0 ? "0 %" : `${Math.min(100, Math.floor((100 * seen) / total))} %`;
}
