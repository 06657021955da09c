/** What background work makes of a node's state, in one place. */
import type { Member } from "./members.ts";

/** Whether a node does not answer at all. One that refuses our credentials does: its copies are where they were. */
export function isAway(member: Member): boolean {
  return member.state === "unreachable" || member.state === "decommissioned";
}
