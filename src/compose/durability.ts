/**
 * Measures how durable objects are: how long lost copies take to be made anew, and how long ago copies were verified. The
 * gateway that leads measures; the others tell what it has put on record.
 */
import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import { RestoreTimes } from "../replication/durability/restore-times.ts";
import { VerifiedAges, type VerifiedAgesDeps } from "../replication/durability/verified-ages.ts";
import type { Leadership } from "../replication/leadership.ts";
import { Worker, type WorkerOptions } from "../replication/worker.ts";

const SAVE_INTERVAL_MS = 30_000;
/** How often it is looked whether a pass is due. */
const LOOK_INTERVAL_MS = 60_000;
/** A gateway that starts has better things to do. */
const START_DELAY_MS = 30_000;

export interface Durability extends AsyncDisposable {
  /** Probability that a node fails for good within a year. */
  readonly annualFailureRate: number;
  readonly restoreTimes: RestoreTimes;
  readonly verifiedAges: VerifiedAges;
  start(): void;
}

export function measureDurability({
  annualFailureRate,
  metrics,
  logger,
  leadership,
  ...deps
}: VerifiedAgesDeps & {
  readonly leadership: Pick<Leadership, "isLeader" | "whileLeading">;
  readonly annualFailureRate: number;
  readonly metrics: Metrics;
  readonly logger: Logger;
}): Durability {
  const { clock } = deps;
  const restoreTimes = new RestoreTimes(deps);
  const verifiedAges = new VerifiedAges(deps);
  const save = new Worker({
    name: "restore-times",
    intervalMs: SAVE_INTERVAL_MS,
    clock,
    logger,
    run: ledBy(
      leadership,
      () => restoreTimes.save(),
      () => restoreTimes.refresh(),
    ),
  });
  const ages = new Worker({
    name: "verified-ages",
    intervalMs: LOOK_INTERVAL_MS,
    clock,
    logger,
    run: ledBy(
      leadership,
      (signal) => verifiedAges.run(signal),
      () => verifiedAges.refresh(),
    ),
  });
  metrics.watchVerifiedAges(() =>
    verifiedAges.last.map(({ node, domain, tally, endedAtMs }) => ({
      node,
      domain,
      counts: tally.counts.map((count, bucket, all) => (bucket === all.length - 1 ? count + tally.never : count)),
      sumSeconds: tally.sumSeconds,
      passEndedAtMs: endedAtMs,
    })),
  );
  return {
    annualFailureRate,
    restoreTimes,
    verifiedAges,
    start() {
      save.start();
      ages.start(START_DELAY_MS);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([save[Symbol.asyncDispose](), ages[Symbol.asyncDispose]()]);
    },
  };
}

/** What is done while this gateway leads, and what otherwise. */
function ledBy(
  leadership: Pick<Leadership, "isLeader" | "whileLeading">,
  leading: WorkerOptions["run"],
  following: () => Promise<void>,
): WorkerOptions["run"] {
  const lead = leadership.whileLeading(leading);
  return (signal) => (leadership.isLeader ? lead(signal) : following());
}
