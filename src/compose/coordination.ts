/** The coordinator and who leads: opened over the catalog, closed after all background work has ended. */
import { readFile } from "node:fs/promises";
import type { Catalog } from "../catalog/catalog.ts";
import type { Config, CoordinatorConfig, Secrets } from "../config/config.ts";
import { type Coordinator, CoordinatorError, type CoordinatorKind, type Lease } from "../coordination/coordinator.ts";
import { embeddedCoordinator } from "../coordination/embedded/embedded-coordinator.ts";
import { redisCoordinator } from "../coordination/redis/redis-coordinator.ts";
import type { RedisSettings } from "../coordination/redis/redis-options.ts";
import { NodeError } from "../nodes/storage-node.ts";
import type { Loggers } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import { Leadership } from "../replication/leadership.ts";
import type { Clock } from "../shared/clock.ts";
import type { IdSource } from "../shared/ids.ts";

export interface Coordination {
  readonly coordinator: Coordinator;
  readonly leadership: Leadership;
  /** A lease, tried for once; `undefined` also where the coordinator does not answer. */
  readonly acquire: (name: string, ttlMs: number) => Promise<Lease | undefined>;
  readonly summary: () => { readonly kind: CoordinatorKind; readonly available: boolean; readonly leader: boolean };
}

/** @throws Error where the file of the authorities cannot be read */
export async function openCoordination(
  deps: {
    readonly config: Pick<Config, "coordinator">;
    readonly secrets: Pick<Secrets, "coordinator">;
    readonly host: string;
    readonly clock: Clock;
    readonly loggers: Loggers;
    readonly metrics: Metrics;
  },
  { catalog, ids, stack }: { readonly catalog: Catalog; readonly ids: IdSource; readonly stack: AsyncDisposableStack },
): Promise<Coordination> {
  const { config, secrets, host, clock, loggers, metrics } = deps;
  const logger = loggers.named("coordination");
  const coordinator = stack.use(
    config.coordinator.kind === "embedded"
      ? embeddedCoordinator(clock)
      : redisCoordinator({
          settings: await redisSettings(config.coordinator, secrets),
          clusterId: catalog.clusterId,
          instance: ids.next(),
          clock,
          logger,
        }),
  );
  const leadership = stack.use(new Leadership({ coordinator, catalog, host, clock, logger }));
  const summary: Coordination["summary"] = () => ({
    kind: coordinator.kind,
    available: coordinator.available,
    leader: leadership.isLeader,
  });
  metrics.watchCoordinator(summary);
  return { coordinator, leadership, acquire: acquireFrom(coordinator), summary };
}

/** A lease, tried for once; `undefined` also where the coordinator does not answer. */
export function acquireFrom(coordinator: Pick<Coordinator, "acquire">): Coordination["acquire"] {
  return async (name, ttlMs) => {
    try {
      return await coordinator.acquire(name, ttlMs);
    } catch (error) {
      if (!(error instanceof CoordinatorError && error.kind === "unavailable")) throw error;
      return undefined;
    }
  };
}

async function redisSettings(
  config: Extract<CoordinatorConfig, { kind: "redis" }>,
  { coordinator }: Pick<Secrets, "coordinator">,
): Promise<RedisSettings> {
  const { addresses, sentinelMaster, tls, database, caFile } = config;
  return {
    addresses,
    tls,
    database,
    ...(sentinelMaster === undefined ? {} : { sentinelMaster }),
    ...(caFile === undefined ? {} : { ca: await readCa(caFile) }),
    credentials: coordinator.server,
    sentinelCredentials: coordinator.sentinels,
  };
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Error(`coordinator.caFile: ${file} cannot be read`, { cause: error });
  }
}

/** A comparison that somebody waits for: it is done by background work, so only while this gateway leads. */
export async function comparedByLeader<T>(
  leadership: Leadership,
  signal: AbortSignal,
  compare: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  let result: { readonly value: T } | undefined;
  await leadership.whileLeading(async (ends) => {
    result = { value: await compare(ends) };
  })(signal);
  if (result === undefined) throw new NodeError("unreachable", "background work is paused or another gateway's");
  return result.value;
}
