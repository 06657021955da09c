/** Which faults a run injects, when and for how long: drawn from its seed before it begins, so that a seed repeats it. */
import type { Seeded } from "../support/seeded.ts";

/**
 * - `kill`: the node's process is killed, and started again at the end of the fault.
 * - `freeze`: it is stopped (SIGSTOP) with its connections open.
 * - `slow`: answers come 2 to 3 s late now and then.
 * - `loss`: each packet to and from it is dropped with a probability of 20 %.
 * - `cut`: connections are refused, open ones are reset.
 * - `half`, `half-put`: connections break in the middle of bodies from it, and of bodies to it.
 * - `corrupt`: bytes are changed on their way from the node.
 * - `deny`, `full`: it answers 403 to everything, 507 to every write.
 * - `overtake`: every connection has a delay of its own, so that requests overtake each other.
 * - `reorder`: requests are held, and go on in another order than they came.
 * - `repeat`: writes and deletions arrive again, seconds later.
 * - `old-listing`: it answers listings as they were before.
 * - `forge`: its identity document is another cluster's, another node's, unsigned, or no document at all.
 * - `lie`: two blobs on its disk change places.
 * - `stale`: it comes back with the disk of an earlier moment.
 * - `wipe`: it comes back with an empty disk.
 */
export const NODE_FAULTS = [
  "kill",
  "freeze",
  "slow",
  "loss",
  "cut",
  "half",
  "half-put",
  "corrupt",
  "deny",
  "full",
  "overtake",
  "reorder",
  "repeat",
  "old-listing",
  "forge",
  "lie",
  "stale",
  "wipe",
] as const;
export type NodeFault = (typeof NODE_FAULTS)[number];

export const JOB_KINDS = [
  "DRAIN",
  "REBALANCE_TO_NEW",
  "SCRUB",
  "RESYNC",
  "MIGRATE_FROM_FAILED",
  "COPY_TO_PROMOTED",
] as const;
export type JobKind = (typeof JOB_KINDS)[number];

const DOMAIN_FAULTS = ["kill", "freeze", "cut"] as const;
/** `lease`: the lease of the leader goes to somebody else for some seconds. */
const REDIS_FAULTS = ["kill", "freeze", "empty", "lease"] as const;
const DISTURBANCES = ["gateway", "lease"] as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export type Fault =
  | { readonly kind: NodeFault; readonly node: number }
  /** All nodes of a domain at once. */
  | { readonly kind: "domain"; readonly domain: number; readonly how: (typeof DOMAIN_FAULTS)[number] }
  /** All servers of both active domains. */
  | { readonly kind: "domains" }
  /** Every server, while the volumes take no writes: nothing may be acknowledged. */
  | { readonly kind: "all-nodes" }
  | { readonly kind: "gateway" }
  | { readonly kind: "redis"; readonly how: (typeof REDIS_FAULTS)[number] }
  /** The gateway's wall clock jumps, and jumps back at the end. */
  | { readonly kind: "clock"; readonly byMs: number }
  /** A job is asked for, and the gateway is killed or loses its lease so long after the job began to run. */
  | {
      readonly kind: "job";
      readonly job: JobKind;
      readonly node: number;
      readonly disturbed: (typeof DISTURBANCES)[number];
      readonly afterMs: number;
    };

export interface Step {
  /** Quiet time before it, when nothing is wrong. */
  readonly calmMs: number;
  readonly lastsMs: number;
  /** Injected together, in this order. */
  readonly faults: readonly Fault[];
}

/** Faults that take copies for good. Never together with another one, or the last copy might be among them. */
export const LOSING: ReadonlySet<string> = new Set<NodeFault>(["lie", "stale", "wipe"]);

const CALM_MS = { min: 500, max: 4_000 };
const FAULT_MS = { min: 1_500, max: 9_000 };
const JOB_DISTURBED_AFTER_MS = 1_500;
const SECOND_FAULT = 0.3;

export interface Shape {
  readonly nodes: number;
  readonly domains: number;
  /** Nodes with a lower number are in active domains. */
  readonly activeNodes: number;
  /** Whether a fault of this name, of `nameOf`, can be injected and is wanted. */
  readonly has: (name: string) => boolean;
}

/** Endless; a run takes as many as it has time for. Every fault comes once before any comes again. */
export function* schedule(choices: Seeded, shape: Shape): Generator<Step, never, undefined> {
  const between = ({ min, max }: { readonly min: number; readonly max: number }): number =>
    min + choices.below(max - min);
  let deck: Fault[] = [];
  const draw = (fits: (fault: Fault) => boolean): Fault | undefined => {
    const at = deck.findIndex(fits);
    return at < 0 ? undefined : deck.splice(at, 1)[0];
  };
  for (;;) {
    if (deck.length === 0) deck = shuffled(choices, everyFault(choices, shape));
    const first = draw(() => true);
    if (first === undefined) throw new RangeError("a site without faults");
    const second = choices.next() < SECOND_FAULT ? draw((fault) => goTogether(first, fault)) : undefined;
    const faults = second === undefined ? [first] : inOrder(first, second);
    yield { calmMs: between(CALM_MS), lastsMs: between(FAULT_MS), faults };
  }
}

function everyFault(choices: Seeded, { nodes, domains, activeNodes, has }: Shape): Fault[] {
  const jump = (unitMs: number): number => unitMs * (2 + choices.below(9));
  const faults: Fault[] = [
    ...NODE_FAULTS.map((kind): Fault => ({ kind, node: choices.below(nodes) })),
    ...DOMAIN_FAULTS.map((how): Fault => ({ kind: "domain", domain: choices.below(domains), how })),
    { kind: "domains" },
    { kind: "all-nodes" },
    { kind: "gateway" },
    ...REDIS_FAULTS.map((how): Fault => ({ kind: "redis", how })),
    ...[MINUTE_MS, -MINUTE_MS, HOUR_MS, -HOUR_MS].map((unitMs): Fault => ({ kind: "clock", byMs: jump(unitMs) })),
    ...JOB_KINDS.flatMap((job) =>
      DISTURBANCES.map((disturbed): Fault => {
        const node = choices.below(activeNodes);
        return { kind: "job", job, node, disturbed, afterMs: choices.below(JOB_DISTURBED_AFTER_MS) };
      }),
    ),
  ];
  return faults.filter((fault) => has(nameOf(fault)));
}

function shuffled<T>(choices: Seeded, items: readonly T[]): T[] {
  const left = [...items];
  const drawn: T[] = [];
  while (left.length > 0) drawn.push(...left.splice(choices.below(left.length), 1));
  return drawn;
}

/** Not two that would undo each other, nor one that leaves a single good copy. */
function goTogether(one: Fault, other: Fault): boolean {
  const faults = [one, other];
  if (faults.some(({ kind }) => LOSING.has(kind) || kind === "all-nodes")) return false;
  const groups = faults.map(groupOf);
  if (groups[0] !== groups[1]) return true;
  return groups[0] === "node" && nodeOf(one) !== nodeOf(other) && faults.every((fault) => nodeOf(fault) !== undefined);
}

/** What a fault acts on. A job has the gateway killed, or takes the lease in Redis. */
function groupOf({ kind }: Fault): "node" | "clock" | "gateway" {
  if (kind === "clock") return "clock";
  return kind === "job" || kind === "gateway" || kind === "redis" ? "gateway" : "node";
}

function nodeOf(fault: Fault): number | undefined {
  return "node" in fault ? fault.node : undefined;
}

/** A job is asked for while the gateway still has all that it needs for that. */
function inOrder(one: Fault, other: Fault): Fault[] {
  return other.kind === "job" ? [other, one] : [one, other];
}

/** By which a fault is counted. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case "domain":
    case "redis":
      return `${fault.kind} ${fault.how}`;
    case "clock":
      return `clock ${fault.byMs < 0 ? "back" : "forward"} by ${Math.abs(fault.byMs) < HOUR_MS ? "minutes" : "hours"}`;
    case "job":
      return `${fault.disturbed === "gateway" ? "gateway killed" : "lease lost"} in ${fault.job}`;
    default:
      return fault.kind;
  }
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
    case "all-nodes":
      return "no node takes writes";
    case "redis":
      return fault.how === "lease" ? "another one takes the lease" : `${fault.how} Redis`;
    case "clock":
      return `the gateway's clock goes by ${fault.byMs / MINUTE_MS} minutes`;
    case "job":
      return `${nameOf(fault)} of node ${fault.node} after ${fault.afterMs} ms`;
    default:
      return `${fault.kind} node ${fault.node}`;
  }
}
