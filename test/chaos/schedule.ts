/** Which faults a run injects, when and for how long: drawn from its seed before it begins, so that a seed repeats it. */
import type { Seeded } from "../support/seeded.ts";

/**
 * - `kill`: the node's process is killed, and started again at the end of the fault.
 * - `freeze`: it is stopped (SIGSTOP) with its connections open.
 * - `slow`: answers come 2 to 3 s late now and then.
 * - `cut`: connections are refused, open ones are reset.
 * - `half`: connections break after some bytes, in the middle of bodies.
 * - `corrupt`: bytes are changed on their way from the node.
 * - `deny`, `full`: it answers 403 to everything, 507 to every write.
 * - `overtake`: every connection has a delay of its own, so that requests overtake each other.
 * - `lie`: two blobs on its disk change places.
 * - `stale`: it comes back with the disk of an earlier moment.
 * - `wipe`: it comes back with an empty disk.
 */
export const NODE_FAULTS = [
  "kill",
  "freeze",
  "slow",
  "cut",
  "half",
  "corrupt",
  "deny",
  "full",
  "overtake",
  "lie",
  "stale",
  "wipe",
] as const;
export type NodeFault = (typeof NODE_FAULTS)[number];

export type Fault =
  | { readonly kind: NodeFault; readonly node: number }
  /** All nodes of a domain at once. */
  | { readonly kind: "domain"; readonly domain: number; readonly how: "kill" | "freeze" | "cut" }
  /** All nodes of both active domains. */
  | { readonly kind: "domains" }
  | { readonly kind: "gateway" };

export interface Step {
  /** Quiet time before it, when nothing is wrong. */
  readonly calmMs: number;
  readonly lastsMs: number;
  /** Injected together. */
  readonly faults: readonly Fault[];
}

/** Faults that take copies for good. Never together with another one, or the last copy might be among them. */
export const LOSING: ReadonlySet<string> = new Set<NodeFault>(["lie", "stale", "wipe"]);

const CALM_MS = { min: 500, max: 4_000 };
const FAULT_MS = { min: 1_500, max: 9_000 };
const SECOND_FAULT = 0.3;

export interface Shape {
  readonly nodes: number;
  readonly domains: number;
}

/** Endless; a run takes as many as it has time for. */
export function* schedule(choices: Seeded, shape: Shape): Generator<Step, never, undefined> {
  const between = ({ min, max }: { readonly min: number; readonly max: number }): number =>
    min + choices.below(max - min);
  for (;;) {
    const first = drawFault(choices, shape);
    const second = choices.next() < SECOND_FAULT ? drawFault(choices, shape) : undefined;
    const together = second !== undefined && !LOSING.has(first.kind) && !LOSING.has(second.kind);
    yield { calmMs: between(CALM_MS), lastsMs: between(FAULT_MS), faults: together ? [first, second] : [first] };
  }
}

function drawFault(choices: Seeded, { nodes, domains }: Shape): Fault {
  const drawn = choices.next();
  if (drawn < 0.12) return { kind: "gateway" };
  if (drawn < 0.22) {
    return { kind: "domain", domain: choices.below(domains), how: choices.pick(["kill", "freeze", "cut"] as const) };
  }
  if (drawn < 0.26) return { kind: "domains" };
  return { kind: choices.pick(NODE_FAULTS), node: choices.below(nodes) };
}

/** For people: `kill node 2`. */
export function told(fault: Fault): string {
  switch (fault.kind) {
    case "gateway":
      return "kill the gateway";
    case "domain":
      return `${fault.how} domain ${fault.domain}`;
    case "domains":
      return "cut both domains";
    default:
      return `${fault.kind} node ${fault.node}`;
  }
}
