/** Why a topology is not changed as it was asked for. */
import { newProblems, type RuledTopology, told } from "../placement/topology-rules.ts";

/**
 * What was asked for makes no sense for the topology as it is; the message says why, for an operator.
 * - `unknown`: what is to be changed is not there.
 * - `refused`: the topology that would come of it contradicts itself, or copies are in the way.
 */
export class TopologyChangeError extends Error {
  readonly kind: "unknown" | "refused";
  constructor(kind: "unknown" | "refused", message: string) {
    super(message);
    this.name = "TopologyChangeError";
    this.kind = kind;
  }
}

/** @throws TopologyChangeError naming what `after` contradicts and `before` did not */
export function requireSound(before: RuledTopology, after: RuledTopology): void {
  const problems = newProblems(before, after);
  if (problems.length > 0) throw new TopologyChangeError("refused", problems.map(told).join("; "));
}
