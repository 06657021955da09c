import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CoordinatorConfig, CoordinatorSecrets } from "../../../src/config/config.ts";
import { linesOf, loaded, problemsOf } from "./support.ts";

function coordinatorOf(env: Record<string, string>, files: Record<string, string> = {}): CoordinatorConfig {
  return loaded({ env, files }).config.coordinator;
}

/** With the passwords as texts. */
function loginsOf(env: Record<string, string>, files: Record<string, string> = {}): unknown {
  const { server, sentinels } = loaded({ env, files }).secrets.coordinator;
  const shown = ({ username, password }: CoordinatorSecrets["server"]): unknown => [username, password?.reveal()];
  return { server: shown(server), sentinels: shown(sentinels) };
}

function refusals(yaml: string): string[] {
  return problemsOf({ yaml }).map(({ property, reason }) => `${property}: ${reason}`);
}

const SERVER = { kind: "redis", tls: false, database: 0 };

describe("coordinator.url", () => {
  test("is embedded by default", () => {
    assert.deepEqual(coordinatorOf({}), { kind: "embedded" });
    assert.deepEqual(coordinatorOf({ BULKHEAD_COORDINATOR_URL: "embedded:" }), { kind: "embedded" });
    assert.deepEqual(loginsOf({}), { server: [undefined, undefined], sentinels: [undefined, undefined] });
  });

  test("names a Redis server, with a port and a database of its own or the usual ones", () => {
    const at = (url: string): CoordinatorConfig => coordinatorOf({ BULKHEAD_COORDINATOR_URL: url });
    assert.deepEqual(at("redis://cache"), { ...SERVER, addresses: [{ host: "cache", port: 6379 }] });
    assert.deepEqual(at("redis://10.0.0.1:7000/3"), {
      ...SERVER,
      addresses: [{ host: "10.0.0.1", port: 7000 }],
      database: 3,
    });
    assert.deepEqual(at("rediss://[::1]:7000/"), {
      ...SERVER,
      tls: true,
      addresses: [{ host: "::1", port: 7000 }],
    });
  });

  test("has a user and a password, which are secrets and not part of the configuration", () => {
    const env = { BULKHEAD_COORDINATOR_URL: "redis://bulkhead:p%40ss@cache" };
    assert.deepEqual(loginsOf(env), { server: ["bulkhead", "p@ss"], sentinels: [undefined, undefined] });
    assert.ok(!JSON.stringify(loaded({ env })).includes("p@ss"));
    assert.ok(!JSON.stringify(loaded({ env })).includes("p%40ss"));
    const password = { BULKHEAD_COORDINATOR_URL_FILE: "/run/secrets/redis" };
    const files = { "/run/secrets/redis": "redis://:hush@cache\n" };
    assert.deepEqual(loginsOf(password, files), { server: [undefined, "hush"], sentinels: [undefined, undefined] });
  });

  test("names sentinels by a list, in the file and in the environment", () => {
    const expected = {
      ...SERVER,
      addresses: [
        { host: "one", port: 26379 },
        { host: "two", port: 7000 },
      ],
      sentinelMaster: "mymaster",
    };
    assert.deepEqual(coordinatorOf({ BULKHEAD_COORDINATOR_URL: '["redis://one", "redis://two:7000"]' }), expected);
    const yaml = 'coordinator: { url: ["redis://one", "redis://two:7000"], sentinelMaster: cache }';
    assert.deepEqual(loaded({ yaml }).config.coordinator, { ...expected, sentinelMaster: "cache" });
  });

  test("has the sentinels' own password in a list, and the server's beside it", () => {
    const env = {
      BULKHEAD_COORDINATOR_URL: '["redis://:watch@one", "redis://:watch@two"]',
      BULKHEAD_COORDINATOR_USERNAME: "bulkhead",
      BULKHEAD_COORDINATOR_PASSWORD_FILE: "/run/secrets/redis",
    };
    assert.deepEqual(loginsOf(env, { "/run/secrets/redis": "hush\n" }), {
      server: ["bulkhead", "hush"],
      sentinels: [undefined, "watch"],
    });
  });

  test("is refused in any other form, and not shown", () => {
    const form = "must be embedded:, redis://HOST:PORT or rediss://HOST:PORT, or a list of the sentinels' URLs";
    for (const url of [
      '"redis:"',
      '"redis://"',
      '"http://cache"',
      '"redis://cache/x"',
      '"redis://cache?db=1"',
      '"redis://ca che"',
      '"redis://cache:99999"',
      '"redis://a:%zz@cache"',
      "7",
      "[]",
      '["embedded:"]',
      '["redis://one", 3]',
      '"[redis://one]"',
    ]) {
      assert.deepEqual(refusals(`coordinator: { url: ${url} }`), [`coordinator.url: ${form}`], url);
    }
    assert.ok(!linesOf({ yaml: 'coordinator: { url: "redis://:hush@cache/x" }' }).join().includes("hush"));
  });

  test("is refused where the sentinels of a list contradict each other", () => {
    const list = (...urls: string[]): string[] => refusals(`coordinator: { url: ${JSON.stringify(urls)} }`);
    assert.deepEqual(list("redis://a", "rediss://b"), ["coordinator.url: must be all redis:// or all rediss://"]);
    assert.deepEqual(list("redis://:x@a", "redis://:y@b"), [
      "coordinator.url: must have the same user and password in all URLs of the list",
    ]);
    assert.deepEqual(list("redis://a/1"), [
      "coordinator.url: must have no database in the URLs of a list: sentinels have none",
    ]);
    assert.deepEqual(list(...Array.from({ length: 17 }, (_, at) => `redis://s${at}`)), [
      "coordinator.url: must name at most 16 sentinels",
    ]);
  });
});

describe("the other settings of the coordinator", () => {
  test("have no use while it is embedded", () => {
    const reason = "has no use while coordinator.url is embedded:";
    assert.deepEqual(
      refusals("coordinator: { username: u, password: hush-hush, caFile: ca.pem, sentinelMaster: m }"),
      ["username", "password", "caFile", "sentinelMaster"].map((key) => `coordinator.${key}: ${reason}`),
    );
  });

  test("are given once, and where they are of use", () => {
    const redis = (url: string, more: string): string[] => refusals(`coordinator: { url: "${url}", ${more} }`);
    assert.deepEqual(redis("redis://u:p@cache", "username: u, password: p"), [
      "coordinator.username: is given twice: coordinator.url has a user as well",
      "coordinator.password: is given twice: coordinator.url has one as well",
    ]);
    assert.deepEqual(redis("redis://cache", "sentinelMaster: m"), [
      "coordinator.sentinelMaster: has no use unless coordinator.url is a list of sentinels",
    ]);
    assert.deepEqual(redis("redis://cache", "caFile: ca.pem"), [
      "coordinator.caFile: has no use unless coordinator.url begins with rediss://",
    ]);
    assert.deepEqual(redis("redis://cache", "username: u"), [
      "coordinator.username: must be given together with a password",
    ]);
    loaded({ yaml: 'coordinator: { url: "rediss://cache", username: u, password: p, caFile: ca.pem }' });
  });
});
