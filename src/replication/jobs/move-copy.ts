/**
 * Carries out what was planned for a slot: makes the copy, reads it back whole, and only then points the record to it.
 * The record is decided on again in the commit; whoever changed the slot meanwhile wins, and the new copy is dropped.
 */
import type { LocatedBlob } from "../../catalog/blobs.ts";
import type { Catalog } from "../../catalog/catalog.ts";
import { type Blob, isSamePlace, type Location, type Slot } from "../../catalog/records/blob.ts";
import type { Member, Members } from "../../cluster/members.ts";
import { NodeError } from "../../nodes/storage-node.ts";
import { compatible } from "../../placement/constraints.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type CopyBlobDeps, copyBlob } from "../copy-blob.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { withoutSurplus, withSurplus } from "../surplus.ts";
import { verifyCopy } from "../verify-copy.ts";
import { type Pace, paced } from "./paced.ts";
import { isComplete, nodesBeside, type SlotPlan, type SlotTarget } from "./plan-slot.ts";

export interface MoveDeps extends CopyBlobDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  readonly clock: Clock;
}

/** Where the moved copy was: on record as surplus, or left dying. */
export type SourceFate = "surplus" | "dying";

export interface Move {
  readonly located: LocatedBlob;
  readonly number: number;
  readonly limits: Pace;
  readonly source: SourceFate;
}

/** `changed`: the record says so; bytes are those that were sent. `overtaken`: somebody else changed the slot first. */
export type MoveOutcome = { readonly kind: "changed"; readonly bytes: number } | { readonly kind: "overtaken" };

/** The topology says another thing of the target than it said when the copy was planned: it is to be planned anew. */
export class TargetChangedError extends Error {
  constructor() {
    super("the node that was to take the copy was changed in the topology meanwhile");
    this.name = "TargetChangedError";
  }
}

const OVERTAKEN: MoveOutcome = { kind: "overtaken" };

/**
 * Carries out a plan that changes something.
 * @throws NodeError, BlobUnavailableError where the copy cannot be made or is not what it must be; TargetChangedError;
 * CatalogError; the signal's reason
 */
export function carryOut(
  deps: MoveDeps,
  move: Move,
  plan: Exclude<SlotPlan, { readonly kind: "stay" | "wait" }>,
  signal: AbortSignal,
): Promise<MoveOutcome> {
  switch (plan.kind) {
    case "move":
      return moveCopy(deps, move, plan.target, signal);
    case "adopt":
      return adoptSurplus(deps, move, plan, signal);
    case "drop":
      return dropSurplus(deps, move);
  }
}

async function moveCopy(deps: MoveDeps, move: Move, target: SlotTarget, signal: AbortSignal): Promise<MoveOutcome> {
  const { located, number, limits, source } = move;
  const { blob } = located;
  const before = blob.slots[number];
  const member = deps.members().get(target.nodeUuid);
  if (before === undefined || member === undefined) return OVERTAKEN;
  const { writeGeneration } = member.spec;
  await limits.object(signal);
  const location = await makeCopy(deps, blob, { member, limits }, signal);
  const made: Slot & { location: Location } = {
    ...{ state: target.state, domain: target.domain, location },
    verifiedAtMs: deps.clock.nowMs(),
  };
  let decided = false;
  const outcome = await deps.ledger.change(blob.blobId, located.home, ({ blob: now }) => {
    // A surplus copy that another slot left there since the plan is one to be adopted, not to be doubled.
    const isThere = now.slots.some((slot) => slot.location?.nodeUuid === target.nodeUuid);
    decided = isAsPlanned(now, number, before) && mayHold(deps, now, number, target) && !isThere;
    if (!decided) return undefined;
    const filled = withSlot(now.slots, number, made);
    const old = before.location;
    // Only a good copy is worth keeping, and one beside the target may share its disk.
    const keeps = source === "surplus" && before.state === "ok" && old !== undefined;
    return {
      slots: keeps ? withSurplus(filled, { ...before, location: old }) : filled,
      // Where this process goes by an older topology the node may serve another domain, or be drained, by now.
      placedOn: { nodeUuid: target.nodeUuid, writeGeneration },
    };
  });
  if (outcome === "changed") return { kind: "changed", bytes: blob.length };
  deps.discard(blob.blobId, [location]);
  if (decided && outcome === "unchanged") throw new TargetChangedError();
  return OVERTAKEN;
}

/** Its bytes count as moved as they are sent; it is read back whole before any record points to it. */
function makeCopy(
  deps: MoveDeps,
  blob: Blob,
  { member, limits }: { readonly member: Member; readonly limits: Pace },
  signal: AbortSignal,
): Promise<Location> {
  return copyBlob(deps, blob, member, {
    signal,
    through: (blocks) => paced(blocks, limits, signal),
    async check({ key }) {
      const verdict = await verifyCopy(member.node, blob, { key, signal });
      if (verdict !== "good") throw new NodeError("corrupt", `the new copy was read back and is ${verdict}`);
    },
  });
}

/** The surplus copy on the target becomes the slot's, once it was read and found right. */
async function adoptSurplus(
  deps: MoveDeps,
  { located, number, source }: Move,
  { target, surplus }: Extract<SlotPlan, { readonly kind: "adopt" }>,
  signal: AbortSignal,
): Promise<MoveOutcome> {
  const { blob } = located;
  const [before, spare] = [blob.slots[number], blob.slots[surplus]];
  const member = deps.members().get(target.nodeUuid);
  if (before === undefined || spare?.location === undefined || member === undefined) return OVERTAKEN;
  const { writeGeneration } = member.spec;
  const verdict = await verifyCopy(member.node, blob, { key: spare.location.key, signal });
  const location = spare.location;
  const readable = (uuid: Id): boolean => deps.members().servesReads(uuid);
  const outcome = await deps.ledger.change(blob.blobId, located.home, ({ blob: now }) => {
    if (!isAsPlanned(now, surplus, spare) || !isAsPlanned(now, number, before)) return undefined;
    if (verdict !== "good")
      return isComplete(now, readable) ? { slots: withoutSurplus(now.slots, surplus) } : undefined;
    if (!mayHold(deps, now, number, target)) return undefined;
    const made: Slot = {
      ...{ state: target.state, domain: target.domain, location },
      verifiedAtMs: deps.clock.nowMs(),
    };
    const filled = withSlot(now.slots, number, made);
    const keeps = source === "surplus" && before.state === "ok" && before.location !== undefined;
    const swapped = keeps ? filled.with(surplus, { ...before, state: "surplus" }) : withoutSurplus(filled, surplus);
    return { slots: swapped, placedOn: { nodeUuid: target.nodeUuid, writeGeneration } };
  });
  if (verdict !== "good") throw new NodeError("corrupt", `the surplus copy on the target is ${verdict}`);
  return outcome === "changed" ? { kind: "changed", bytes: 0 } : OVERTAKEN;
}

async function dropSurplus({ ledger, members }: MoveDeps, { located, number }: Move): Promise<MoveOutcome> {
  const readable = (uuid: Id): boolean => members().servesReads(uuid);
  const before = located.blob.slots[number];
  if (before === undefined) return OVERTAKEN;
  const outcome = await ledger.change(located.blob.blobId, located.home, ({ blob: now }) =>
    isAsPlanned(now, number, before) && isComplete(now, readable)
      ? { slots: withoutSurplus(now.slots, number) }
      : undefined,
  );
  return outcome === "changed" ? { kind: "changed", bytes: 0 } : OVERTAKEN;
}

function isAsPlanned({ slots }: Blob, number: number, before: Slot): boolean {
  const slot = slots[number];
  return slot !== undefined && slot.state === before.state && isSamePlace(slot.location, before.location);
}

/** Whether the target may still have the copy: another slot's may have got there, or the node stopped taking any. */
function mayHold({ members }: MoveDeps, now: Blob, number: number, { nodeUuid, state, domain }: SlotTarget): boolean {
  const { placement } = members();
  const others = nodesBeside(now, number);
  const inDomain = state === "handoff" || members().get(nodeUuid)?.spec.domain === domain;
  const kind = state === "handoff" ? "handoff" : "planned";
  return inDomain && members().acceptsWrites(nodeUuid) && compatible(placement.index, others, nodeUuid, kind);
}
