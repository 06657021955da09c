/**
 * Which nodes' copies are to be made anew: those of nodes that are gone for good, and of nodes that have not answered for
 * so long that their copies are better made elsewhere, as soon as their domain has another node to make them on.
 */
import { isHealthy, type Members } from "../../cluster/members.ts";
import { isAway } from "../../cluster/node-health.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { isAbsent } from "./absent-nodes.ts";

export class LostNodes {
  readonly #members: () => Members;
  readonly #clock: Clock;
  readonly #afterMs: number;
  /** Nodes that did not answer at any look since then: monotonic. */
  readonly #awaySinceMs = new Map<Id, number>();

  /** @param afterMs how long a node has to be away */
  constructor(deps: { readonly members: () => Members; readonly clock: Clock; readonly afterMs: number }) {
    this.#members = deps.members;
    this.#clock = deps.clock;
    this.#afterMs = deps.afterMs;
  }

  /** Looks at every node once. To be called again and again: what it sees in between does not count. */
  observe(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const member of this.#members().all()) {
      const { uuid } = member.spec;
      if (!isAway(member)) this.#awaySinceMs.delete(uuid);
      else if (!this.#awaySinceMs.has(uuid)) this.#awaySinceMs.set(uuid, nowMs);
    }
  }

  /** Whether a node that has just come back was away for as long as that, as far as was seen. */
  wasAwayForLong(nodeUuid: Id): boolean {
    const sinceMs = this.#awaySinceMs.get(nodeUuid);
    return sinceMs !== undefined && this.#clock.monotonicMs() >= sinceMs + this.#afterMs;
  }

  /** Whether its copies are to be made anew. */
  isLost(nodeUuid: Id): boolean {
    const members = this.#members();
    if (isAbsent(members, nodeUuid)) return true;
    const member = members.get(nodeUuid);
    const sinceMs = this.#awaySinceMs.get(nodeUuid);
    if (member === undefined || !isAway(member) || sinceMs === undefined) return false;
    if (this.#clock.monotonicMs() < sinceMs + this.#afterMs) return false;
    // With no other node there is nowhere to make them: they stay on record as they are, and are right when it returns.
    return members.all().some((other) => {
      const { uuid, domain } = other.spec;
      return uuid !== nodeUuid && domain === member.spec.domain && isHealthy(other) && members.acceptsWrites(uuid);
    });
  }
}
