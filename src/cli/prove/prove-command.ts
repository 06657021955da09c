/** `bulkhead prove`: for every object its copies, their domains, and when they were last verified. */
import type { Command } from "commander";
import { durabilitySchema, type ObjectProof, PROVE_PATHS, provePageSchema } from "../../admin/prove/prove-types.ts";
import type { Clock } from "../../shared/clock.ts";
import type { AdminClient } from "../admin-client.ts";
import type { Output } from "../commands.ts";
import { CliError, EXIT } from "../errors.ts";
import { ProofJoiner } from "./join-proofs.ts";
import { ProveTally } from "./prove-summary.ts";
import { formatProof, formatSummary, PROOF_HEAD } from "./prove-text.ts";

/** Objects asked for at a time. */
const PAGE = 500;
const COPIES_MAX = 100;
/** Objects that fail which are listed with --summary. */
const FAILING_SHOWN_MAX = 20;

export interface ProveOptions {
  readonly failUnder?: string;
  readonly summary?: boolean;
  readonly json?: boolean;
}

export function withProveOptions(command: Command): Command {
  return command
    .description("what is on record of the copies of every object; fails where one has fewer than it should")
    .option("--fail-under <copies>", "fail where an object has fewer good copies than this, instead of by its policy")
    .option("--summary", "list no objects but the first that fail");
}

/** Prints a line for each object as it comes; with `json` an object of JSON a line. @throws CliError */
export async function prove(
  admin: AdminClient,
  target: string | undefined,
  {
    options,
    clock,
    print,
  }: { readonly options: ProveOptions; readonly clock: Clock; readonly print: (text: string) => void },
): Promise<Output> {
  const nowMs = clock.nowMs();
  const { json = false, summary: short = false } = options;
  const tally = new ProveTally({ nowMs, failUnder: copiesOf(options.failUnder) });
  let shown = 0;
  const show = (proof: ObjectProof): void => {
    if (short && (json || !tally.fails(proof) || tally.failing >= FAILING_SHOWN_MAX)) return;
    if (json) print(`${JSON.stringify({ kind: "object", ...proof })}\n`);
    else print(`${shown++ === 0 ? PROOF_HEAD : ""}${formatProof(proof, nowMs)}`);
  };
  let factor: number | undefined;
  for await (const page of pages(admin, target)) {
    factor = page.factor;
    for (const proof of page.objects) {
      show(proof);
      tally.add(proof);
    }
  }
  const durability = await admin.get(PROVE_PATHS.durability, durabilitySchema);
  const summary = tally.summary(factor ?? 0, durability);
  if (json) print(`${JSON.stringify(summary)}\n`);
  else {
    const more = short ? tally.failing - FAILING_SHOWN_MAX : 0;
    print(`${more > 0 ? `and ${more} more\n` : ""}${shown > 0 ? "\n" : ""}${formatSummary(summary, nowMs)}`);
  }
  return { json: summary, text: "", printed: true, failed: tally.failing > 0 };
}

/** Whole objects, a page at a time. */
async function* pages(
  admin: AdminClient,
  target: string | undefined,
): AsyncGenerator<{ readonly factor: number; readonly objects: readonly ObjectProof[] }, void, undefined> {
  const query = new URLSearchParams({ limit: String(PAGE), ...targetQuery(target) });
  const joiner = new ProofJoiner();
  for (let after: string | null = ""; after !== null; ) {
    if (after !== "") query.set("after", after);
    const page = await admin.get(`${PROVE_PATHS.prove}?${query.toString()}`, provePageSchema);
    yield { factor: page.replication_factor, objects: page.objects.flatMap((piece) => joiner.add(piece) ?? []) };
    after = page.next;
  }
}

/** @param target `BUCKET` or `BUCKET/PREFIX` */
function targetQuery(target: string | undefined): Record<string, string> {
  if (target === undefined) return {};
  const slash = target.indexOf("/");
  if (slash < 0) return { bucket: target };
  return { bucket: target.slice(0, slash), prefix: target.slice(slash + 1) };
}

function copiesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const copies = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (copies >= 1 && copies <= COPIES_MAX) return copies;
  throw new CliError(EXIT.usage, `--fail-under takes a whole number from 1 to ${COPIES_MAX}, not ${text}`);
}
