/**
 * Which nodes' copies are to be made anew: those of nodes that are gone for good, and of nodes that have not answered for
 * so long that their copies are better made elsewhere, as soon as their domain has another node to make them on.
 */
import { isHealthy, type Member, type Members } from "../../cluster/members.ts";
import type { Id } from "../../shared/ids.ts";
import { isAbsent } from "./absent-nodes.ts";

export class LostNodes {
  readonly #members: () => Members;
  readonly #holdsBack: () => boolean;
  /** Nodes that were away at the last look. */
  readonly #away = new Set<Id>();

  /** @param holdsBack whether this gateway may be cut off itself, so that silence says nothing of a node */
  constructor(members: () => Members, holdsBack: () => boolean = () => false) {
    this.#members = members;
    this.#holdsBack = holdsBack;
  }

  /** Looks at every node once. To be called again and again: what comes and goes in between does not count. */
  observe(): void {
    for (const member of this.#members().all()) {
      if (isAway(member)) this.#away.add(member.spec.uuid);
      else this.#away.delete(member.spec.uuid);
    }
  }

  /** Whether a node that has just come back was away at the last look. */
  wasAway(nodeUuid: Id): boolean {
    return this.#away.has(nodeUuid);
  }

  /** Whether its copies are to be made anew. */
  isLost(nodeUuid: Id): boolean {
    const members = this.#members();
    if (isAbsent(members, nodeUuid)) return true;
    const member = members.get(nodeUuid);
    if (member === undefined || !members.isLost(nodeUuid) || this.#holdsBack()) return false;
    // With no other node there is nowhere to make them: they stay on record as they are, and are right when it returns.
    return members.all().some((other) => {
      const { uuid, domain } = other.spec;
      return uuid !== nodeUuid && domain === member.spec.domain && isHealthy(other) && members.acceptsWrites(uuid);
    });
  }
}

/** Whether a node does not answer at all. One that refuses our credentials does: its copies are where they were. */
function isAway({ state }: Member): boolean {
  return state === "unreachable" || state === "decommissioned";
}
