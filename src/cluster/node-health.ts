/** What background work makes of a node's state, in one place. */
import type { Member } from "./members.ts";

/** Whether a node counts for its domain: it takes copies and serves them. */
export function isHealthy(member: Member | undefined): boolean {
  return member?.state === "online";
}

/** Whether a node does not answer at all. One that refuses our credentials does: its copies are where they were. */
export function isAway(member: Member): boolean {
  return member.state === "offline";
}
