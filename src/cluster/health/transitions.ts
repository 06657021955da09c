/**
 * The states of a node and what every event makes of them: a total table, pure. docs/node-states.md is written from it
 * (scripts/node-states-docs.ts), with the numbered invariants and the test of each.
 */

/**
 * - `joining`: not yet checked by this process.
 * - `online`: takes copies and serves them.
 * - `degraded`: missed some probes, has yet to show that it is back, or failed a deeper probe: no new copies.
 * - `unreachable`: missed so many that its copies are made anew elsewhere.
 * - `decommissioned`: was away for too long by the word of most gateways; only an operator takes it back.
 * - `access-denied`: answers, but refuses our credentials.
 * - `replaced`: answers, but its identity is gone; the copies that were on it are not there.
 * - `refused`: answers with another node's or cluster's identity, or failed admission; never used.
 */
export const NODE_STATES = [
  "joining",
  "online",
  "degraded",
  "unreachable",
  "decommissioned",
  "access-denied",
  "replaced",
  "refused",
] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** Probes missed in a row from which on a node is in trouble. */
export const MISSED_DEGRADED = 3;
export const MISSED_UNREACHABLE = 5;
export const MISSED_DECOMMISSIONED = 10;
/** Good probes in a row by which a node that was degraded or worse is online again. */
export const GOOD_ONLINE = 2;

/**
 * - `passed`: a probe was answered as it should be; `recovered`: the second one in a row, or a later one.
 * - `unsound`: the node answers, but a deeper probe (list, canary, admission) has failed and not passed since.
 * - `missed`: a probe on the interval clock failed, the first or second in a row; `missed-3`: the third or fourth;
 *   `missed-5`: the fifth or a later one.
 * - `recheck-failed`: a quick recheck between two probes failed. It never counts.
 * - `denied`, `identity-gone`, `identity-wrong`: the node answers, and that is what it says.
 * - `decommissioned`, `rejoined`: the catalog says so.
 */
export const HEALTH_EVENTS = [
  "passed",
  "recovered",
  "unsound",
  "missed",
  "missed-3",
  "missed-5",
  "recheck-failed",
  "denied",
  "identity-gone",
  "identity-wrong",
  "decommissioned",
  "rejoined",
] as const;
export type HealthEvent = (typeof HEALTH_EVENTS)[number];

/** What a node says of itself when it answers decides its state, whatever that was, until it is decommissioned. */
const SAID = {
  denied: "access-denied",
  "identity-gone": "replaced",
  "identity-wrong": "refused",
  decommissioned: "decommissioned",
} as const;

export const TRANSITIONS: Readonly<Record<NodeState, Readonly<Record<HealthEvent, NodeState>>>> = {
  joining: {
    passed: "online",
    recovered: "online",
    unsound: "degraded",
    // Nothing is known of it but that it does not answer: no new copies, and no migration.
    missed: "degraded",
    "missed-3": "degraded",
    "missed-5": "unreachable",
    "recheck-failed": "joining",
    ...SAID,
    rejoined: "joining",
  },
  online: {
    passed: "online",
    recovered: "online",
    unsound: "degraded",
    missed: "online",
    "missed-3": "degraded",
    "missed-5": "unreachable",
    "recheck-failed": "online",
    ...SAID,
    rejoined: "online",
  },
  degraded: {
    passed: "degraded",
    recovered: "online",
    unsound: "degraded",
    missed: "degraded",
    "missed-3": "degraded",
    "missed-5": "unreachable",
    "recheck-failed": "degraded",
    ...SAID,
    rejoined: "degraded",
  },
  unreachable: {
    passed: "unreachable",
    recovered: "online",
    unsound: "degraded",
    missed: "unreachable",
    "missed-3": "unreachable",
    "missed-5": "unreachable",
    "recheck-failed": "unreachable",
    ...SAID,
    rejoined: "unreachable",
  },
  decommissioned: {
    passed: "decommissioned",
    recovered: "decommissioned",
    unsound: "decommissioned",
    missed: "decommissioned",
    "missed-3": "decommissioned",
    "missed-5": "decommissioned",
    "recheck-failed": "decommissioned",
    denied: "decommissioned",
    "identity-gone": "decommissioned",
    "identity-wrong": "decommissioned",
    decommissioned: "decommissioned",
    rejoined: "joining",
  },
  "access-denied": {
    passed: "online",
    recovered: "online",
    unsound: "degraded",
    missed: "access-denied",
    "missed-3": "access-denied",
    // It has stopped answering since: that is another matter than its keys.
    "missed-5": "unreachable",
    "recheck-failed": "access-denied",
    ...SAID,
    rejoined: "access-denied",
  },
  replaced: {
    // The right disk is mounted.
    passed: "online",
    recovered: "online",
    unsound: "degraded",
    missed: "replaced",
    "missed-3": "replaced",
    "missed-5": "replaced",
    "recheck-failed": "replaced",
    ...SAID,
    rejoined: "replaced",
  },
  refused: {
    passed: "online",
    recovered: "online",
    unsound: "degraded",
    missed: "refused",
    "missed-3": "refused",
    "missed-5": "unreachable",
    "recheck-failed": "refused",
    ...SAID,
    rejoined: "refused",
  },
};

export interface StateEffects {
  /** Whether its copies are asked for while it answers. */
  readonly reads: "as usual" | "last" | "never";
  /** Whether it takes new copies, if its conditions allow it. */
  readonly writes: boolean;
  /** Whether its copies are made anew elsewhere. */
  readonly lost: boolean;
}

export const EFFECTS: Readonly<Record<NodeState, StateEffects>> = {
  joining: { reads: "never", writes: false, lost: false },
  online: { reads: "as usual", writes: true, lost: false },
  degraded: { reads: "last", writes: false, lost: false },
  unreachable: { reads: "last", writes: false, lost: true },
  decommissioned: { reads: "last", writes: false, lost: true },
  "access-denied": { reads: "never", writes: false, lost: false },
  replaced: { reads: "never", writes: false, lost: true },
  refused: { reads: "never", writes: false, lost: false },
};

/** How a node is, and what it takes to count further. */
export interface NodeHealth {
  readonly state: NodeState;
  /** Probes on the interval clock that failed in a row. */
  readonly missed: number;
  /** Probes and rechecks that passed in a row. */
  readonly good: number;
}

/** What is known of a node at first. Nothing is kept over a restart but that it was decommissioned. */
export function initialHealth(decommissioned: boolean): NodeHealth {
  return { state: decommissioned ? "decommissioned" : "joining", missed: 0, good: 0 };
}

/** What was seen of a node. */
export type Evidence =
  /** It answered and is ours. `sound` is false while a deeper probe is failed. */
  | { readonly kind: "answered"; readonly sound: boolean }
  /** It did not answer. `counts` on the interval clock only. */
  | { readonly kind: "silent"; readonly counts: boolean }
  /** It answered, and could not be used for what it said; or the catalog says something of it. */
  | { readonly kind: "denied" | "identity-gone" | "identity-wrong" | "decommissioned" | "rejoined" };

/** The next health of a node, and the event that led to it. Pure. */
export function step(
  health: NodeHealth,
  evidence: Evidence,
): { readonly event: HealthEvent; readonly next: NodeHealth } {
  const { missed, good } = count(health, evidence);
  const event = eventOf(evidence, missed, good);
  const state = TRANSITIONS[health.state][event];
  return { event, next: { state, missed, good } };
}

function count({ missed, good }: NodeHealth, evidence: Evidence): { readonly missed: number; readonly good: number } {
  if (evidence.kind === "answered") return { missed: 0, good: good + 1 };
  if (evidence.kind === "silent") return { missed: evidence.counts ? missed + 1 : missed, good: 0 };
  if (evidence.kind === "decommissioned") return { missed, good };
  return { missed: 0, good: 0 };
}

function eventOf(evidence: Evidence, missed: number, good: number): HealthEvent {
  if (evidence.kind === "answered") {
    if (!evidence.sound) return "unsound";
    return good >= GOOD_ONLINE ? "recovered" : "passed";
  }
  if (evidence.kind !== "silent") return evidence.kind;
  if (!evidence.counts) return "recheck-failed";
  if (missed >= MISSED_UNREACHABLE) return "missed-5";
  return missed >= MISSED_DEGRADED ? "missed-3" : "missed";
}
