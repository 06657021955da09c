/** Scrubbers over the nodes of a gateway in memory. */
import { silentLogger } from "../../src/observability/logger.ts";
import type { ScrubLimits } from "../../src/replication/scrub/copy-scrubber.ts";
import { NodeComparison, type NodeComparisonDeps } from "../../src/replication/scrub/node-comparison.ts";
import { NodeScrubber, type NodeScrubberDeps } from "../../src/replication/scrub/node-scrubber.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";

export const DAY_MS = 86_400_000;

/** So high that they are no limits. */
export const NO_LIMITS: ScrubLimits = {
  enabled: true,
  intervalMs: 30 * DAY_MS,
  bytesPerSecond: 2 ** 40,
  copiesPerSecond: 2 ** 30,
};

export interface ScrubSubject {
  readonly scrubber: NodeScrubber;
  /** What it told its observer: `verified NODE BYTES`, `corrupt NODE`, `lost NODE`. */
  readonly told: string[];
}

/** The dependencies of scrubbers of the gateway's present process. */
export function scrubDeps(
  gateway: InMemoryGateway,
  told: string[],
  deps: Partial<Omit<NodeScrubberDeps, "limits">> & { readonly limits?: Partial<ScrubLimits> } = {},
): NodeScrubberDeps {
  const { catalog, ledger, repairer, members } = gateway.process;
  return {
    catalog,
    ledger,
    members: () => members,
    recordDamage: (damage) => repairer.recordDamage(damage),
    busy: () => false,
    clock: gateway.clock,
    logger: silentLogger,
    observer: {
      verified: (node, bytes) => void told.push(`verified ${node} ${bytes}`),
      bad: (node, kind) => void told.push(`${kind} ${node}`),
    },
    ...deps,
    limits: { ...NO_LIMITS, ...deps.limits },
  };
}

/** The scrubber of a node in the gateway's present process. */
export function scrubberOf(
  gateway: InMemoryGateway,
  name: string,
  deps: Parameters<typeof scrubDeps>[2] = {},
): ScrubSubject {
  const told: string[] = [];
  return { told, scrubber: new NodeScrubber(scrubDeps(gateway, told, deps), gateway.node(name)) };
}

/** The comparison of a node in the gateway's present process. */
export function comparisonOf(
  gateway: InMemoryGateway,
  name: string,
  deps: Partial<NodeComparisonDeps> = {},
): { readonly comparison: NodeComparison; readonly told: string[] } {
  const told: string[] = [];
  const { limits: _, ...shared } = scrubDeps(gateway, told);
  const limits = { enabled: true, intervalMs: DAY_MS };
  return { told, comparison: new NodeComparison({ ...shared, limits, ...deps }, gateway.node(name)) };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}
