/**
 * The coordinator of several gateways: a Redis server, or several under sentinels. Everything is under one prefix with
 * the cluster's id, so that clusters can share a server, and everything expires.
 */

import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { type Coordinator, CoordinatorError, type Lease } from "../coordinator.ts";
import { HeldLease } from "../held-lease.ts";
import {
  checkLeaseTtl,
  checkMessage,
  checkName,
  checkPrefix,
  checkStateTtl,
  checkTake,
  HISTORY_MS,
  NAMES_MAX,
  SAMPLES_MAX,
  STATE_MS_MAX,
  STATES_LISTED_MAX,
  sampleText,
  stateText,
} from "../limits.ts";
import { ChannelListeners } from "./channel-listeners.ts";
import { RedisConnection } from "./redis-connection.ts";
import type { RedisSettings } from "./redis-options.ts";
import * as replies from "./replies.ts";
import * as scripts from "./scripts.ts";

/** A bucket that nobody took from for so long is full again, however slowly it fills. */
const BUCKET_MS_MAX = 86_400_000;

export interface RedisCoordinatorOptions {
  readonly settings: RedisSettings;
  readonly clusterId: Id;
  /** Of this process, never used before. */
  readonly instance: Id;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Begins to connect; `available` tells when it has. */
export function redisCoordinator({
  settings,
  clusterId,
  instance,
  clock,
  logger,
}: RedisCoordinatorOptions): Coordinator {
  // In braces, for proxies that split keys over servers: all of a cluster's belong together.
  const prefix = `bulkhead:{${clusterId}}:`;
  const key = (kind: string, name: string): string => `${prefix}${kind}:${name}`;
  const statePrefix = key("state", "");
  const stateNames = `${prefix}states`;
  const connection = new RedisConnection({ settings, heartbeatKey: `${prefix}heartbeat`, clock, logger });
  const listeners = new ChannelListeners(connection, key("channel", ""));
  /** Names that this process holds or is trying to get. */
  const leases = new Map<string, HeldLease | undefined>();
  let attempts = 0;
  const run = (
    script: scripts.Script,
    keys: readonly string[],
    ...args: readonly (string | number)[]
  ): Promise<unknown> => connection.call((redis) => scripts.runScript(redis, script, { keys, args }));

  const tryAcquire = async (name: string, ttlMs: number): Promise<HeldLease | undefined> => {
    const attempt = ++attempts;
    const holder = `${instance}:${attempt}`;
    const keys = [key("lease", name)];
    const askedAtMs = clock.monotonicMs();
    if ((await run(scripts.ACQUIRE, keys, instance, attempt, ttlMs)) !== 1) return undefined;
    const lease = new HeldLease({
      name,
      ttlMs,
      askedAtMs,
      clock,
      calls: {
        renew: async () => (await run(scripts.RENEW, keys, holder, ttlMs)) === 1,
        release: async () => void (await run(scripts.RELEASE, keys, holder)),
      },
    });
    if (lease.held) return lease;
    await lease.release();
    throw new CoordinatorError("unavailable", "the answer to a lease came too late");
  };

  connection.start();
  return {
    kind: "redis",
    get available() {
      return connection.available;
    },
    onAvailability: (listener) => connection.onAvailability(listener),

    async acquire(name, ttlMs): Promise<Lease | undefined> {
      checkName(name);
      checkLeaseTtl(ttlMs);
      if (leases.has(name)) return undefined;
      leases.set(name, undefined);
      try {
        const lease = await tryAcquire(name, ttlMs);
        if (lease === undefined) return undefined;
        leases.set(name, lease);
        lease.lost.addEventListener("abort", () => leases.delete(name), { once: true });
        return lease;
      } finally {
        if (leases.get(name) === undefined) leases.delete(name);
      }
    },

    async publish(channel, message) {
      checkName(channel);
      checkMessage(message);
      await connection.call((redis) => redis.publish(key("channel", channel), message));
    },
    subscribe(channel, listener) {
      checkName(channel);
      return listeners.add(channel, listener);
    },

    async take(name, amount, rate) {
      checkName(name);
      checkTake(amount, rate);
      const { perSecond, burst } = rate;
      return replies.number(await run(scripts.TAKE, [key("rate", name)], amount, perSecond, burst, BUCKET_MS_MAX));
    },

    async putState(name, document, ttlMs) {
      checkName(name);
      checkStateTtl(ttlMs);
      const args = [name, stateText(document), ttlMs, NAMES_MAX, 2 * STATE_MS_MAX, statePrefix];
      if ((await run(scripts.PUT_STATE, [key("state", name), stateNames], ...args)) !== 1) {
        throw new CoordinatorError("invalid", "the coordinator keeps as many names as it may");
      }
    },
    async dropState(name) {
      checkName(name);
      await run(scripts.DROP_STATE, [key("state", name), stateNames], name);
    },
    async states(beginning) {
      checkPrefix(beginning);
      return replies.states(await run(scripts.STATES, [stateNames], beginning, statePrefix, STATES_LISTED_MAX));
    },

    async addSample(series, sample) {
      checkName(series);
      await run(scripts.ADD_SAMPLE, [key("history", series)], sampleText(sample), SAMPLES_MAX, HISTORY_MS);
    },
    async samples(series, sinceMs) {
      checkName(series);
      const since = Math.max(0, Math.floor(sinceMs));
      return replies.samples(await run(scripts.SAMPLES, [key("history", series)], since, HISTORY_MS));
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([...leases.values()].map(async (lease) => lease?.release()));
      connection.close();
    },
  };
}
