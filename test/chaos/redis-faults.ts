/** Faults of the coordinator: Redis is killed, frozen or emptied, or another one has the leader's lease. */
import type { RedisServer } from "../support/redis-server.ts";
import type { Mend } from "./node-faults.ts";
import type { Fault } from "./schedule.ts";
import type { Site } from "./site.ts";

type RedisFault = Extract<Fault, { kind: "redis" }>["how"];

/** Longer than the leader's lease is kept without being renewed. */
const LEASE_TAKEN_MS = 12_000;

export async function injectIntoRedis(site: Site, how: RedisFault): Promise<Mend> {
  const redis = theRedis(site);
  switch (how) {
    case "kill":
      await redis.kill();
      return () => redis.start();
    case "freeze":
      await redis.freeze();
      return async () => redis.thaw();
    case "empty":
      await redis.cli("FLUSHALL");
      return async () => {};
    case "lease":
      return takeLease(site);
  }
}

/** Somebody else has the leader's lease, until the fault is mended. */
export async function takeLease(site: Site): Promise<Mend> {
  const redis = theRedis(site);
  const lease = (await redis.cli("--scan")).split("\n").find((key) => key.endsWith(":lease:leader"));
  // Nobody leads just now: there is nothing to take.
  if (lease === undefined) return async () => {};
  await redis.cli("SET", lease, "another gateway", "PX", String(LEASE_TAKEN_MS));
  return async () => void (await redis.cli("DEL", lease));
}

function theRedis({ redis }: Site): RedisServer {
  if (redis === undefined) throw new Error("there is no Redis here");
  return redis;
}
