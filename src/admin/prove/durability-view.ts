/** What the admin API tells of the durability of objects: measured times, and the estimate that follows from them. */
import type { Members } from "../../cluster/members.ts";
import { copiesIn, medianSeconds } from "../../replication/durability/age-tally.ts";
import { estimateDurability } from "../../replication/durability/estimate.ts";
import type { RestoreTimes } from "../../replication/durability/restore-times.ts";
import type { NodeAges, VerifiedAges } from "../../replication/durability/verified-ages.ts";
import type { DurabilityAnswer, VerifiedAgesAnswer } from "./prove-types.ts";

export interface DurabilityContext {
  readonly members: () => Members;
  readonly durability: {
    readonly annualFailureRate: number;
    readonly restoreTimes: Pick<RestoreTimes, "mean">;
    readonly verifiedAges: Pick<VerifiedAges, "last">;
  };
}

export function durabilityView({ members, durability }: DurabilityContext): DurabilityAnswer {
  const { annualFailureRate, restoreTimes, verifiedAges } = durability;
  const copies = policyCopies(members());
  const { mean } = restoreTimes;
  // With one copy no repair helps, and nothing need be measured.
  const meanTimeToRestoreMs = mean?.meanMs ?? (copies === 1 ? 1 : undefined);
  const estimate =
    meanTimeToRestoreMs === undefined || copies === 0
      ? undefined
      : estimateDurability({ copies, annualFailureRate, meanTimeToRestoreMs });
  return {
    copies,
    annual_failure_rate: annualFailureRate,
    restored_copies: mean?.count ?? 0,
    mean_time_to_restore_seconds: mean === undefined ? null : mean.meanMs / 1000,
    mean_time_to_loss_years: estimate?.meanTimeToLossYears ?? null,
    annual_loss_probability: estimate?.annualLossProbability ?? null,
    nodes: verifiedAges.last.map(agesOf),
  };
}

/** Copies that a new blob has at least when its write is complete: in as many domains as the factor. */
function policyCopies({ topology }: Members): number {
  const { factor, domainChoice } = topology.replication;
  const counts = topology.domains
    .filter(({ role, acceptsWrites }) => role === "active" && acceptsWrites)
    .map(({ replicaCount }) => replicaCount);
  // By hash any of the domains may be chosen: those with the fewest copies are counted.
  const chosen = (domainChoice === "hash" ? counts.sort((a, b) => a - b) : counts).slice(0, factor);
  return chosen.reduce((sum, count) => sum + count, 0);
}

function agesOf({ node, domain, tally, endedAtMs }: NodeAges): VerifiedAgesAnswer {
  const known = copiesIn(tally);
  return {
    node,
    domain,
    pass_ended_at: new Date(endedAtMs).toISOString(),
    copies: known + tally.never,
    never_verified: tally.never,
    median_age_seconds: medianSeconds(tally) ?? null,
    oldest_age_seconds: known === 0 ? null : tally.oldestSeconds,
  };
}
