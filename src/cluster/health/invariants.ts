/** What holds of the states of nodes, whatever happens, and the test of each. docs/node-states.md is written from it. */
export interface HealthInvariant {
  readonly number: string;
  readonly says: string;
  /** The test file that enforces it, under test/. */
  readonly test: string;
}

const TABLE = "unit/cluster/health/transitions.test.ts";
const WATCH = "unit/cluster/health/watch.test.ts";

export const HEALTH_INVARIANTS: readonly HealthInvariant[] = [
  {
    number: "H1",
    says: "Every state has exactly one successor for every event, and every state is reached.",
    test: TABLE,
  },
  {
    number: "H2",
    says: "One or two missed probes change no state but that of a node of which nothing is known; nothing is lost before the fifth in a row (G10).",
    test: TABLE,
  },
  { number: "H3", says: "A quick recheck that fails changes nothing and counts nothing.", test: TABLE },
  {
    number: "H4",
    says: "A node that was degraded or unreachable is online again only after two good probes in a row.",
    test: TABLE,
  },
  {
    number: "H5",
    says: "Only an operator takes a node out of `decommissioned`, and only the catalog puts it there.",
    test: TABLE,
  },
  {
    number: "H6",
    says: "Refused credentials lose no copy: `access-denied` is not lost, and leads nowhere lost by itself (G14).",
    test: TABLE,
  },
  { number: "H7", says: "New copies go to nodes that are `online` and to no others.", test: TABLE },
  {
    number: "H8",
    says: "A process that starts knows nothing bad of a node but what the catalog says; missed probes begin at 0.",
    test: TABLE,
  },
  {
    number: "H9",
    says: "A node that hangs, in whatever call, delays the detection of no other (G8).",
    test: "unit/got-wrong/g8-rebalance-blocks-detection.test.ts",
  },
  {
    number: "H10",
    says: "A node is read and written only after a check that found our identity on it, and not between the opening of its breaker and the next such check.",
    test: WATCH,
  },
  {
    number: "H11",
    says: "A node that is unreachable is read again after the first check that it passes.",
    test: WATCH,
  },
  {
    number: "H12",
    says: "A node is decommissioned only if most gateways that live have missed it ten times, no other is being evacuated, and at most a third of all are down.",
    test: "unit/cluster/health/decommission.test.ts",
  },
];
