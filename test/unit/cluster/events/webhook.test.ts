/** The webhook: in order, at least once, from where it was. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { openCatalog } from "../../../../src/catalog/catalog.ts";
import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { CatalogEventLog } from "../../../../src/cluster/events/catalog-event-log.ts";
import { postEvent, SECRET_HEADER } from "../../../../src/cluster/events/post-event.ts";
import { EventWebhook } from "../../../../src/cluster/events/webhook.ts";
import { silentLogger } from "../../../../src/observability/logger.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { idSource } from "../../../../src/shared/ids.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { Secret } from "../../../../src/shared/secret.ts";
import { turns } from "../../../support/in-memory-gateway.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

class World {
  readonly clock = new ManualClock();
  readonly kv = memoryKv();
  readonly delivered: string[] = [];
  /** Attempts, those that failed included. */
  attempts = 0;
  /** Whether the receiver takes events. */
  up = true;
  leader = true;

  async log(): Promise<CatalogEventLog> {
    const { clock, kv } = this;
    const catalog = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(1)), host: "t", pid: 1 });
    const log = new CatalogEventLog({ catalog, clock, logger: silentLogger, gateway: "g" });
    await log.start();
    await turns();
    return log;
  }

  async webhook(events: CatalogEventLog): Promise<EventWebhook> {
    const { clock, kv } = this;
    const catalog = await openCatalog(kv, { clock, ids: idSource(clock, seededRandom(2)), host: "t", pid: 2 });
    const webhook = new EventWebhook({
      catalog,
      events,
      clock,
      logger: silentLogger,
      isLeader: () => this.leader,
      deliver: async ({ cause }) => {
        this.attempts += 1;
        if (!this.up) throw new Error("the webhook answered 503");
        this.delivered.push(cause);
      },
    });
    webhook.start();
    await turns();
    return webhook;
  }

  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.clock.advance(1_000);
      await turns();
    }
  }
}

test("every event is handed over once and in order; what was before the webhook was configured is not", async () => {
  const world = new World();
  await using log = await world.log();
  log.record({ kind: "NODE_ONLINE", cause: "before" });
  await turns();
  await using _webhook = await world.webhook(log);
  for (const cause of ["one", "two", "three"]) log.record({ kind: "NODE_ONLINE", cause });
  await world.pass(2);
  assert.deepEqual(world.delivered, ["one", "two", "three"]);
});

test("a receiver that is away gets everything in order when it is back, and is asked ever more seldom meanwhile", async () => {
  const world = new World();
  await using log = await world.log();
  await using _webhook = await world.webhook(log);
  world.up = false;
  for (const cause of ["one", "two"]) log.record({ kind: "NODE_ONLINE", cause });
  await world.pass(600);
  const asked = world.attempts;
  assert.ok(asked >= 5 && asked <= 12, `${asked} attempts in 10 minutes`);
  log.record({ kind: "NODE_ONLINE", cause: "three" });
  world.up = true;
  await world.pass(300);
  assert.deepEqual(world.delivered, ["one", "two", "three"]);
});

test("a gateway that takes over goes on where the one before was", async () => {
  const world = new World();
  await using log = await world.log();
  const first = await world.webhook(log);
  log.record({ kind: "NODE_ONLINE", cause: "one" });
  await world.pass(2);
  await first[Symbol.asyncDispose]();
  log.record({ kind: "NODE_ONLINE", cause: "while nobody delivered" });
  await turns();
  await using _second = await world.webhook(log);
  await world.pass(2);
  assert.deepEqual(world.delivered, ["one", "while nobody delivered"]);
});

test("a gateway that is not the leader delivers nothing until it is", async () => {
  const world = new World();
  await using log = await world.log();
  await using first = await world.webhook(log);
  assert.ok(first);
  world.leader = false;
  log.record({ kind: "NODE_ONLINE", cause: "one" });
  await world.pass(30);
  assert.deepEqual(world.delivered, []);
  world.leader = true;
  await world.pass(11);
  assert.deepEqual(world.delivered, ["one"]);
});

test("an event is posted as JSON with the secret; another answer than 2xx, and none in time, is a failure", async () => {
  const bodies: unknown[] = [];
  let status = 204;
  const server = createServer((request, response) => {
    if (status === 0) return;
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.once("end", () => {
      bodies.push([request.headers[SECRET_HEADER], JSON.parse(body)]);
      response.writeHead(status).end("answer");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?team=a`;
    const event = { sequence: 7, kind: "NODE_OFFLINE", atMs: 0, node: "n", cause: "why", gateway: "g" } as const;
    const how = { clock: systemClock, signal: new AbortController().signal };
    await postEvent({ url, secret: new Secret("s3cret"), timeoutMs: 10_000 }, event, how);
    const json = { ...event, time: "1970-01-01T00:00:00.000Z", domain: null } as Record<string, unknown>;
    delete json["atMs"];
    assert.deepEqual(bodies, [["s3cret", json]]);
    status = 500;
    await assert.rejects(postEvent({ url, secret: undefined, timeoutMs: 10_000 }, event, how), /answered 500/);
    status = 0;
    await assert.rejects(postEvent({ url, secret: undefined, timeoutMs: 50 }, event, how), /did not answer in time/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
