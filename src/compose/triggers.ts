/** The jobs that begin by themselves, put together: who looks, and when. */
import type { Catalog } from "../catalog/catalog.ts";
import type { EventLog } from "../cluster/events/event.ts";
import type { Members } from "../cluster/members.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import { JobStore } from "../replication/jobs/job-store.ts";
import { JobTriggers } from "../replication/jobs/triggers/job-triggers.ts";
import type { Leadership } from "../replication/leadership.ts";
import { Worker } from "../replication/worker.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id, IdSource } from "../shared/ids.ts";
import type { LoadedNodeHandle } from "./nodes.ts";

/** How often the nodes are looked at besides when something is known to have changed. */
const LOOK_MS = 10_000;

export interface TriggersDeps {
  readonly rebalance: () => Config["storage"]["rebalance"];
  readonly leadership: Pick<Leadership, "catalog" | "whileLeading">;
  readonly members: () => Members;
  readonly handles: { get(uuid: Id): Pick<LoadedNodeHandle, "figures"> | undefined };
  readonly events: Pick<EventLog, "record">;
  /** Has jobs that are queued begun. */
  readonly wakeJobs: () => void;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
}

/** Looks while this gateway leads, once it is started. */
export function createTriggers(deps: TriggersDeps): Worker {
  const { rebalance, leadership, members, handles, events, wakeJobs, clock, ids, logger } = deps;
  const catalog: Catalog = leadership.catalog;
  const triggers = new JobTriggers({
    catalog,
    store: new JobStore({ catalog, clock, ids }),
    members,
    capacityOf: (uuid) => handles.get(uuid)?.figures().figures.capacity,
    rebalances: () => rebalance().enabled && rebalance().automatic,
    recordEvent: (event) => events.record(event),
    onQueued: wakeJobs,
    logger,
  });
  const run = leadership.whileLeading((signal) => triggers.run(signal));
  return new Worker({ name: "job-triggers", intervalMs: LOOK_MS, clock, logger, run });
}
