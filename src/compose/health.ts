/** Puts together what watches over the nodes beside membership: events, domains, decommissioning, the webhook. */
import type { Catalog } from "../catalog/catalog.ts";
import { CatalogEventLog } from "../cluster/events/catalog-event-log.ts";
import type { EventLog } from "../cluster/events/event.ts";
import { postEvent } from "../cluster/events/post-event.ts";
import { EventWebhook } from "../cluster/events/webhook.ts";
import { Decommissioner } from "../cluster/health/decommissioner.ts";
import { DomainWatch } from "../cluster/health/domain-watch.ts";
import { IsolationGuard } from "../cluster/health/isolation-guard.ts";
import { OwnReport } from "../cluster/health/reports.ts";
import type { Members } from "../cluster/members.ts";
import type { Config, Secrets } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import type { Leadership } from "../replication/leadership.ts";
import { Worker } from "../replication/worker.ts";
import type { Clock } from "../shared/clock.ts";

export interface HealthCareDeps {
  readonly config: Pick<Config, "events"> & { readonly storage: Pick<Config["storage"], "health"> };
  readonly secrets: Pick<Secrets, "webhookSecret">;
  readonly members: () => Members;
  readonly events: EventLog;
  /** Resolves when this process goes by the topology in the catalog. */
  readonly refresh: () => Promise<void>;
  readonly catalog: Catalog;
  readonly leadership: Pick<Leadership, "catalog" | "isLeader">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The event log of this gateway, following the catalog's. @throws CatalogError */
export async function openEventLog(deps: {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: string;
  readonly onRecorded: (kind: string) => void;
}): Promise<CatalogEventLog> {
  const { catalog, clock, logger, host, onRecorded } = deps;
  const events = new CatalogEventLog({ catalog, clock, logger, gateway: `${host}/${catalog.session}`, onRecorded });
  await events.start();
  return events;
}

export interface HealthCare extends AsyncDisposable {
  /** Whether this gateway may be cut off itself. */
  readonly isolation: IsolationGuard;
}

/** Runs until it is disposed of. */
export function careForHealth(deps: HealthCareDeps): HealthCare {
  const { config, secrets, leadership, members, events, clock, logger } = deps;
  const isLeader = (): boolean => leadership.isLeader;
  const { intervalMs } = config.storage.health;
  const stack = new AsyncDisposableStack();
  // Every gateway looks, so that the next leader knows how long a domain has been as it is.
  const domains = new DomainWatch(members, (event) => isLeader() && events.record(event));
  const isolation = new IsolationGuard({ ...deps, intervalMs, record: (event) => events.record(event) });
  const holdsBack = (): boolean => isolation.holdsBack();
  const decommissioner = new Decommissioner({ ...deps, leaders: leadership.catalog, isLeader, holdsBack, intervalMs });
  const report = new OwnReport(deps);
  const worker = (name: string, run: (signal: AbortSignal) => Promise<void>): void =>
    stack.use(new Worker({ name, intervalMs, clock, logger, run })).start(intervalMs);
  worker("domain-health", async () => domains.look());
  // A report that cannot be committed, as the journal goes to nodes as well, must not keep this gateway from looking.
  worker("isolation", () => isolation.look());
  worker("health-report", () => report.write());
  if (config.storage.health.decommission) worker("decommission", () => decommissioner.run());
  const { webhook } = config.events;
  if (webhook !== undefined) {
    const target = { ...webhook, secret: secrets.webhookSecret };
    const deliver: ConstructorParameters<typeof EventWebhook>[0]["deliver"] = (event, signal) =>
      postEvent(target, event, { clock, signal });
    stack.use(new EventWebhook({ catalog: leadership.catalog, events, deliver, isLeader, clock, logger })).start();
  }
  return { isolation, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
