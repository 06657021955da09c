/** `bulkhead repair ...`: how repair is, its dead letters, and having both run. */
import type { Command } from "commander";
import {
  type DeadLetterAnswer,
  deadLetterSchema,
  deadLettersSchema,
  REPAIR_PATHS,
  type RepairStatus,
  repairStatusSchema,
  replaySchema,
} from "../admin/repair-types.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatFields, formatTable } from "./text.ts";

/** Makes a command one that asks the admin API and prints what it says. */
export type Asking = (
  command: Command,
  show: (admin: AdminClient, args: readonly string[]) => Promise<Output>,
) => Command;

export function addRepairCommands(program: Command, asking: Asking): void {
  const repair = program.command("repair").description("copies that are missing, misplaced or bad, and their repair");
  asking(repair.command("status").description("what waits, since when, and what was done"), showRepair);
  asking(repair.command("run").description("repair now, whatever failed a moment ago included"), runRepair);
  const letters = asking(
    repair.command("dead-letters").description("copies whose repair was given up"),
    listDeadLetters,
  );
  asking(letters.command("list").description("all of them (up to 10,000)"), listDeadLetters);
  asking(letters.command("show <blob> <slot>").description("one of them"), (admin, [blob = "", slot = ""]) =>
    showDeadLetter(admin, blob, slot),
  );
  asking(
    letters.command("replay [blob] [slot]").description("have one, or all of them, tried again"),
    (admin, [blob, slot]) => replayDeadLetters(admin, blob, slot),
  );
}

async function showRepair(admin: AdminClient): Promise<Output> {
  const status = await admin.get(REPAIR_PATHS.repair, repairStatusSchema);
  return { json: status, text: formatStatus(status) };
}

async function runRepair(admin: AdminClient): Promise<Output> {
  const status = await admin.post(REPAIR_PATHS.repair, repairStatusSchema, {});
  return { json: status, text: `Repair runs.\n${formatStatus(status)}` };
}

function formatStatus(status: RepairStatus): string {
  const counted = (count: number): string => (status.more ? `${count} (of those that were counted)` : String(count));
  return formatFields([
    ["Running", status.running ? `since ${status.started_at}` : `no, last ended ${status.ended_at ?? "-"}`],
    ["Missing", counted(status.missing)],
    ["Hand-off", counted(status.handoff)],
    ["Unverified", counted(status.unverified)],
    ["Corrupt", counted(status.corrupt)],
    ["Dead letters", counted(status.dead_letters)],
    ["Oldest missing", status.oldest_missing_since ?? "-"],
    ["Waiting for nodes", String(status.waiting)],
    ["Restored, failed", `${status.restored}, ${status.failed} (since the gateway started)`],
  ]);
}

/** What one listing shows; `--json` of the API has them all by pages. */
const LISTED_MAX = 10_000;
const PAGE = 1_000;

async function listDeadLetters(admin: AdminClient): Promise<Output> {
  const letters: DeadLetterAnswer[] = [];
  let next: string | null = "";
  while (next !== null && letters.length < LISTED_MAX) {
    const after: string = next === "" ? "" : `&after=${encodeURIComponent(next)}`;
    const page = await admin.get(`${REPAIR_PATHS.deadLetters}?limit=${PAGE}${after}`, deadLettersSchema);
    letters.push(...page.dead_letters);
    next = page.next;
  }
  const head = ["BLOB", "SLOT", "DOMAIN", "STATE", "SINCE", "ATTEMPTS", "NODE", "ERROR"];
  const rows = letters.map((letter) => [
    letter.blob_id,
    String(letter.slot),
    letter.domain,
    letter.state,
    letter.since,
    String(letter.attempts),
    letter.node ?? "-",
    `${letter.error_kind}: ${letter.error}`,
  ]);
  const more = next === null ? "" : "There are more.\n";
  const text = letters.length === 0 ? "There are no dead letters.\n" : formatTable(head, rows) + more;
  return { json: { dead_letters: letters, next }, text };
}

async function showDeadLetter(admin: AdminClient, blob: string, slot: string): Promise<Output> {
  const path = `${REPAIR_PATHS.deadLetters}/${encodeURIComponent(blob)}/${encodeURIComponent(slot)}`;
  const letter = await admin.get(path, deadLetterSchema);
  const text = formatFields([
    ["Blob", `${letter.blob_id}, slot ${letter.slot}`],
    ["Object", letter.key ?? "- (of several objects, or a part)"],
    ["State", `${letter.state}, of domain ${letter.domain}`],
    ["Since", letter.since],
    ["Given up", `${letter.given_up_at}, after ${letter.attempts} attempts`],
    ["Node", letter.node ?? "-"],
    ["Last error", `${letter.error_kind}: ${letter.error}`],
  ]);
  return { json: letter, text };
}

async function replayDeadLetters(admin: AdminClient, blob?: string, slot?: string): Promise<Output> {
  if (blob !== undefined && (slot === undefined || !/^\d+$/.test(slot))) {
    throw new CliError(EXIT.usage, "name a blob and a slot, or neither for all of them");
  }
  const body = blob === undefined ? {} : { blob_id: blob, slot: Number(slot) };
  let replayed = 0;
  for (let more = true; more; ) {
    const answer = await admin.post(REPAIR_PATHS.replay, replaySchema, body);
    replayed += answer.replayed;
    // One that fails again at once is there again: it is not waited for.
    more = answer.more && answer.replayed > 0;
  }
  return { json: { replayed }, text: `Tried again: ${replayed}\n` };
}
