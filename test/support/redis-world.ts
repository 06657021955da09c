/** Coordinators of one cluster over a Redis server of their own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Coordinator } from "../../src/coordination/coordinator.ts";
import { redisCoordinator } from "../../src/coordination/redis/redis-coordinator.ts";
import type { RedisSettings } from "../../src/coordination/redis/redis-options.ts";
import { type Logger, silentLogger } from "../../src/observability/logger.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { idSource } from "../../src/shared/ids.ts";
import { systemRandom } from "../../src/shared/random.ts";
import type { CoordinatorWorld } from "../contract/coordinator-contract.ts";
import { eventually } from "./eventually.ts";
import { type RedisServer, startRedis } from "./redis-server.ts";

const AVAILABLE_TIMEOUT_MS = 20_000;
const ids = idSource(systemClock, systemRandom());

export interface RedisWorld extends CoordinatorWorld {
  readonly server: RedisServer;
}

export interface Joining {
  readonly clusterId?: string;
  readonly settings?: Partial<RedisSettings>;
  readonly logger?: Logger;
}

/** A coordinator that may not get to its Redis. */
export function coordinatorAt(port: number, { clusterId, settings, logger }: Joining = {}): Coordinator {
  return redisCoordinator({
    settings: {
      addresses: [{ host: "127.0.0.1", port }],
      tls: false,
      database: 0,
      credentials: {},
      sentinelCredentials: {},
      ...settings,
    },
    clusterId: clusterId ?? "0".repeat(32),
    instance: ids.next(),
    clock: systemClock,
    logger: logger ?? silentLogger,
  });
}

export async function untilAvailable(coordinator: Coordinator, available = true): Promise<void> {
  const what = `the coordinator is ${available ? "" : "not "}available`;
  await eventually(what, { timeoutMs: AVAILABLE_TIMEOUT_MS, intervalMs: 20 }, () => {
    if (coordinator.available !== available) throw new Error(`it is ${available ? "not" : "still"}`);
  });
}

export async function openRedisWorld(): Promise<RedisWorld> {
  const server = await startRedis();
  return {
    server,
    leaseMs: 3_000,
    async join() {
      const coordinator = coordinatorAt(server.port);
      await untilAvailable(coordinator);
      return coordinator;
    },
    pass: (ms) => sleep(ms),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
