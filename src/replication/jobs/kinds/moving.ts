/** What the jobs that move copies have in common: one copy after the other, clients first, failures told one by one. */
import { SessionEndedError } from "../../../catalog/catalog.ts";
import { CatalogError } from "../../../catalog/kv.ts";
import { RecordError } from "../../../catalog/records/codec.ts";
import { type Clock, sleep } from "../../../shared/clock.ts";
import { toError } from "../../../shared/errors.ts";
import type { Id } from "../../../shared/ids.ts";
import { yieldToClients } from "../../scrub/foreground.ts";
import type { LiveJob } from "../live-job.ts";
import { carryOut, type MoveDeps, type SourceFate } from "../move-copy.ts";
import type { Pace } from "../paced.ts";
import type { PlanningView, SlotPlan } from "../plan-slot.ts";
import type { FoundSlot } from "../walk-copies.ts";

export interface MovingDeps extends MoveDeps {
  readonly limits: Pace;
  /** Whether clients keep a node busy. */
  readonly busy: (nodeUuid: Id) => boolean;
}

/** Passes that a job makes over copies with which it did not succeed, and the wait between two. */
export const PASSES_MAX = 3;
export const PASS_INTERVAL_MS = 30_000;

/** What placement and topology say at this moment. */
export function planningView({ members }: Pick<MovingDeps, "members">): PlanningView {
  const now = members();
  return {
    placement: now.placement,
    assigned: (uuid) => now.get(uuid)?.spec.acceptsWrites === true,
    writable: (uuid) => now.acceptsWrites(uuid),
    readable: (uuid) => now.servesReads(uuid),
  };
}

/** Carries out what is planned for a copy, and tells the job how it went. @throws what ends the job */
export async function settle(
  deps: MovingDeps,
  live: LiveJob,
  found: FoundSlot,
  { plan, source }: { readonly plan: SlotPlan; readonly source: SourceFate },
): Promise<void> {
  const { located, number, slot } = found;
  const { blobId } = located.blob;
  if (plan.kind === "stay") return live.skipped();
  if (plan.kind === "wait") return await live.failed(blobId, number, plan.reason);
  try {
    const target = plan.kind === "drop" ? undefined : plan.target.nodeUuid;
    const busy = (): boolean => deps.busy(slot.location.nodeUuid) || (target !== undefined && deps.busy(target));
    if (plan.kind === "move") await yieldToClients({ clock: deps.clock, busy }, live.signal);
    const move = { located, number, limits: deps.limits, source };
    const outcome = await carryOut(deps, move, plan, live.signal);
    if (outcome.kind === "changed") live.moved(outcome.bytes);
    else live.skipped();
  } catch (error) {
    live.signal.throwIfAborted();
    if (error instanceof CatalogError || error instanceof SessionEndedError) throw error;
    await live.failed(blobId, number, reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  // What a damaged record holds is in the log, where it was found.
  if (error instanceof RecordError) return "its record cannot be read";
  return toError(error).message;
}

/**
 * Makes a pass, and again over what it did not succeed with, a few times.
 * @param pass goes through all copies from the job's cursor on
 */
export async function inPasses(
  { clock }: { readonly clock: Clock },
  live: LiveJob,
  pass: () => Promise<void>,
): Promise<void> {
  for (let passes = 1; ; passes++) {
    await pass();
    if (live.failedCount === 0 || passes >= PASSES_MAX) return;
    await sleep(clock, PASS_INTERVAL_MS, live.signal);
    await live.beginPass(undefined);
  }
}
