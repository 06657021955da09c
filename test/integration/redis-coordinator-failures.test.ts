/** What becomes of leases and calls while Redis is killed, frozen, emptied, fails over, or does not let us in. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import type { Coordinator, Lease } from "../../src/coordination/coordinator.ts";
import { CoordinatorError, LeaseEndedError } from "../../src/coordination/coordinator.ts";
import { Secret } from "../../src/shared/secret.ts";
import { makeCertificates, missingForCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { recordingLogger } from "../support/recording-logger.ts";
import { missingRedis, type RedisServer, type RedisServerOptions, startRedis } from "../support/redis-server.ts";
import { coordinatorAt, type Joining, untilAvailable } from "../support/redis-world.ts";

const TTL_MS = 2_000;
const PATIENCE = { timeoutMs: 20_000, intervalMs: 20 };
const PASSWORD = new Secret("hush-hush-hush");

describe("Redis as a coordinator", { skip: missingRedis() ?? false }, () => {
  const opened: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of opened.splice(0).toReversed()) await each[Symbol.asyncDispose]();
  });
  const server = async (options: RedisServerOptions = {}): Promise<RedisServer> => {
    const started = await startRedis(options);
    opened.push(started);
    return started;
  };
  const coordinator = (port: number, joining: Joining = {}): Coordinator => {
    const made = coordinatorAt(port, joining);
    opened.push(made);
    return made;
  };
  const joined = async (port: number, joining: Joining = {}): Promise<Coordinator> => {
    const made = coordinator(port, joining);
    await untilAvailable(made);
    return made;
  };

  test("killed: calls fail at once, leases run out; started again, empty: all goes on", async () => {
    const redis = await server();
    const one = await joined(redis.port);
    const changes: boolean[] = [];
    one.onAvailability((available) => changes.push(available));
    const lease = await acquired(one);
    await redis.kill();
    await untilAvailable(one, false);
    await assert.rejects(one.acquire("other", TTL_MS), isUnavailable);
    await assert.rejects(one.publish("nodes", ""), isUnavailable);
    assert.equal(await endOf(lease), "expired");
    await redis.start();
    await untilAvailable(one);
    assert.deepEqual(changes, [false, true]);
    assert.equal((await acquired(one)).held, true);
  });

  test("events are heard again after Redis was away", async () => {
    const redis = await server();
    const one = await joined(redis.port);
    const heard: string[] = [];
    one.subscribe("nodes", (message) => heard.push(message));
    await redis.kill();
    await untilAvailable(one, false);
    one.subscribe("jobs", (message) => heard.push(message));
    await redis.start();
    await eventually("both channels are heard", PATIENCE, async () => {
      await one.publish("nodes", "node-a");
      await one.publish("jobs", "job-1");
      assert.deepEqual([...new Set(heard)].toSorted(), ["job-1", "node-a"]);
    });
  });

  test("frozen: no call hangs, the holder lets go before the lease is free, and nobody gets it twice after the thaw", async () => {
    const redis = await server();
    const one = await joined(redis.port);
    const two = await joined(redis.port);
    const lease = await acquired(one);
    await redis.freeze();
    // Its request stays in Redis' socket, and is carried out when Redis goes on.
    const late = two.acquire("leader", TTL_MS);
    await assert.rejects(late, isUnavailable);
    assert.equal(await endOf(lease), "expired");
    assert.equal(lease.held, false);
    redis.thaw();
    await untilAvailable(one);
    await untilAvailable(two);
    let held: Lease | undefined;
    await eventually("one of them has it again", PATIENCE, async () => {
      const got = await Promise.all([one.acquire("leader", TTL_MS), two.acquire("leader", TTL_MS)]);
      assert.ok(got.filter((each) => each !== undefined).length <= 1);
      held = got.find((each) => each !== undefined);
      assert.ok(held?.held);
    });
  });

  test("frozen and thawed over and over, two who want one lease never both believe to hold it", async () => {
    const redis = await server();
    const clients = [await joined(redis.port), await joined(redis.port)];
    let stop = false;
    let held: Lease | undefined;
    let handovers = 0;
    const contend = async (client: Coordinator): Promise<void> => {
      while (!stop) {
        const lease = await client.acquire("leader", 1_000).catch(() => undefined);
        if (lease !== undefined) {
          assert.notEqual(held?.held, true, "the one before believes to hold it still");
          held = lease;
          handovers++;
          await new Promise((resolve) => {
            lease.lost.addEventListener("abort", resolve);
            setTimeout(() => void lease.release().then(resolve), 150);
          });
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const contending = clients.map(contend);
    for (const frozenMs of [300, 1_300, 50, 1_600]) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await redis.freeze();
      await new Promise((resolve) => setTimeout(resolve, frozenMs));
      redis.thaw();
    }
    const before = handovers;
    await eventually("it changes hands again", PATIENCE, () => assert.ok(handovers > before + 3));
    stop = true;
    await Promise.all(contending);
  });

  test("emptied: the leases are lost and can be acquired anew, scripts and all", async () => {
    const redis = await server();
    const one = await joined(redis.port);
    const two = await joined(redis.port);
    const lease = await acquired(one);
    await one.putState("job/a", {}, 60_000);
    await redis.cli("FLUSHALL");
    await redis.cli("SCRIPT", "FLUSH");
    assert.equal(await endOf(lease), "taken");
    assert.equal((await acquired(two)).held, true);
    assert.equal(await one.acquire("leader", TTL_MS), undefined);
    assert.deepEqual(await one.states(""), []);
    await one.putState("job/a", { again: true }, 60_000);
    assert.equal((await two.states("")).length, 1);
  });

  test("everything that is kept expires and is under the cluster's prefix, so that clusters share a server", async () => {
    const redis = await server();
    const one = await joined(redis.port);
    const other = await joined(redis.port, { clusterId: "f".repeat(32) });
    await acquired(one);
    assert.equal((await acquired(other)).held, true);
    await one.take("copies", 1, { perSecond: 1, burst: 5 });
    await one.putState("job/a", {}, 60_000);
    await one.addSample("job/a", { moved: 1 });
    assert.deepEqual(await other.states(""), []);
    assert.deepEqual(await other.samples("job/a", 0), []);
    const keys = (await redis.cli("--scan")).split("\n");
    assert.ok(keys.length >= 6, keys.join());
    for (const key of keys) {
      assert.match(key, /^bulkhead:\{(0{32}|f{32})\}:/);
      assert.ok(Number(await redis.cli("PTTL", key)) > 0, `${key} expires`);
    }
  });

  test("a wrong password: not available, no call hangs, and neither password nor command is logged", async () => {
    const redis = await server({ password: PASSWORD.reveal() });
    const { logger, lines } = recordingLogger();
    const wrong = new Secret("wrong-wrong-wrong");
    const refused = coordinator(redis.port, { logger, settings: { credentials: { password: wrong } } });
    const right = await joined(redis.port, { settings: { credentials: { password: PASSWORD } } });
    await eventually("the failure is logged", PATIENCE, () => assert.match(lines().join(), /WRONGPASS/));
    assert.equal(refused.available, false);
    await assert.rejects(refused.acquire("leader", TTL_MS), isUnavailable);
    assert.ok(!lines().join().includes(wrong.reveal()));
    assert.equal((await acquired(right)).held, true);

    const none = recordingLogger();
    coordinator(redis.port, { logger: none.logger });
    await eventually("that there is none, too", PATIENCE, () => assert.match(none.lines().join(), /NOAUTH/));
  });

  test("a user of its own, who may do what is needed under the prefix and nothing else", async () => {
    const redis = await server();
    const rights = ["~bulkhead:*", "&bulkhead:*", "+@all", "-@dangerous", "+info"];
    await redis.cli("ACL", "SETUSER", "bulkhead", "on", `>${PASSWORD.reveal()}`, ...rights);
    const one = await joined(redis.port, { settings: { credentials: { username: "bulkhead", password: PASSWORD } } });
    assert.equal((await acquired(one)).held, true);
    await one.putState("job/a", {}, 60_000);
    await one.addSample("job/a", {});
    assert.equal(await one.take("copies", 1, { perSecond: 1, burst: 5 }), 0);
    await one.publish("nodes", "");
  });

  test("TLS: with the authority of the certificate, and not without", {
    skip: missingForCertificates() ?? false,
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "bulkhead-redis-tls-"));
    opened.push({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) });
    const certificates = await makeCertificates(folder);
    const redis = await server({ certificates });
    const one = await joined(redis.port, { settings: { tls: true, ca: certificates.ca } });
    assert.equal((await acquired(one)).held, true);
    const { logger, lines } = recordingLogger();
    const stranger = coordinator(redis.port, { logger, settings: { tls: true } });
    await eventually("it is refused", PATIENCE, () => assert.match(lines().join(), /certificate/));
    assert.equal(stranger.available, false);
    const plain = recordingLogger();
    const without = coordinator(redis.port, { logger: plain.logger });
    await eventually("so is who speaks no TLS", PATIENCE, () => assert.ok(plain.lines().length > 0));
    assert.equal(without.available, false);
  });

  test("sentinels: the server is found through them, and so is the one that takes its place", async () => {
    const primary = await server();
    const replica = await server({ replicaOf: primary.port });
    const master = "cache";
    const sentinels = [];
    for (let count = 0; count < 3; count++) {
      sentinels.push(await server({ sentinelOf: { master, port: primary.port, quorum: 2 } }));
    }
    const [first] = sentinels;
    assert.ok(first !== undefined);
    await eventually("the replica and the sentinels know each other", { ...PATIENCE, intervalMs: 100 }, async () => {
      const [state, others, replicas] = await Promise.all([
        replica.cli("INFO", "replication"),
        first.cli("SENTINEL", "SENTINELS", master),
        first.cli("SENTINEL", "REPLICAS", master),
      ]);
      assert.match(state, /master_link_status:up/);
      assert.equal(others.match(/^name$/gm)?.length, 2);
      assert.match(replicas, new RegExp(String(replica.port)));
    });
    const addresses = sentinels.map(({ port }) => ({ host: "127.0.0.1", port }));
    const one = await joined(0, { settings: { addresses, sentinelMaster: master } });
    const lease = await acquired(one);
    assert.match(await primary.cli("--scan"), /lease:leader/);
    await primary.kill();
    await untilAvailable(one, false);
    // A replica that takes over in time knows the lease, which then goes on.
    await eventually("the replica has taken over", { timeoutMs: 60_000, intervalMs: 100 }, async () => {
      assert.equal(one.available, true);
      assert.ok(lease.held || (await acquired(one)).held);
    });
    assert.match(await replica.cli("--scan"), /lease:leader/);
  });
});

/** The lease that everybody wants. */
async function acquired(coordinator: Coordinator): Promise<Lease> {
  const lease = await coordinator.acquire("leader", TTL_MS);
  assert.ok(lease !== undefined, "somebody else has it");
  return lease;
}

/** How a lease ended, when it has. */
async function endOf({ lost }: Lease): Promise<string> {
  await eventually("the lease is lost", PATIENCE, () => assert.ok(lost.aborted));
  assert.ok(lost.reason instanceof LeaseEndedError);
  return lost.reason.reason;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof CoordinatorError && error.kind === "unavailable";
}
