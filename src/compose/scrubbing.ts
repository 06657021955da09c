/** The scrub of the nodes, their comparison with the catalog, and how both are told to metrics. */
import type { Config } from "../config/config.ts";
import type { Metrics } from "../observability/metrics.ts";
import { Scrubbing, type ScrubbingDeps } from "../replication/scrub/scrubbing.ts";
import type { Id } from "../shared/ids.ts";
import type { LoadedNodeHandle } from "./nodes.ts";

const COMPARISON_INTERVAL_MS = 86_400_000;
/** Calls under way from which on a node is busy; the scrub's own and those of a few readers are fewer. */
const BUSY_INFLIGHT_MIN = 16;

export function createScrubbing(
  deps: Omit<ScrubbingDeps, "busy" | "observer" | "scrub" | "comparison"> & {
    readonly config: Pick<Config, "storage">;
    readonly handles: { get(nodeUuid: Id): Pick<LoadedNodeHandle, "load"> | undefined };
    readonly metrics: Metrics;
  },
): Scrubbing {
  const { config, handles, metrics, ...rest } = deps;
  const { scrub, consistencyRepair } = config.storage;
  const scrubbing = new Scrubbing({
    ...rest,
    scrub,
    comparison: { enabled: consistencyRepair.enabled, intervalMs: COMPARISON_INTERVAL_MS },
    busy(nodeUuid) {
      const load = handles.get(nodeUuid)?.load();
      return load !== undefined && (load.waiting > 0 || load.inflight >= BUSY_INFLIGHT_MIN);
    },
    observer: {
      verified: (node, bytes) => metrics.copyVerified(node, bytes),
      bad: (node, kind) => metrics.badCopyFound(node, kind === "lost" ? "missing" : "corrupt"),
    },
  });
  metrics.watchScrub(async () =>
    (await scrubbing.report()).map(({ node, scrub: { last }, comparison }) => ({
      node,
      passEndedAtMs: last?.endedAtMs,
      unknownCopies: comparison.last?.unknown,
      foreign: comparison.foreign?.count,
    })),
  );
  return scrubbing;
}
