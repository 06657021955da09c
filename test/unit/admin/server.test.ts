import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import { test } from "node:test";
import { problemSchema, scrubsSchema, workersSchema } from "../../../src/admin/api-types.ts";
import { changesSchema, snapshotSchema, verificationSchema } from "../../../src/admin/catalog-types.ts";
import { durabilitySchema, provePageSchema } from "../../../src/admin/prove/prove-types.ts";
import { createAdminServer } from "../../../src/admin/server.ts";
import { liveSettingsSchema, reloadSchema } from "../../../src/admin/topology-types.ts";
import { orphansHeldKey } from "../../../src/catalog/keys.ts";
import { loadTopology } from "../../../src/cluster/topology-store.ts";
import { type LogFields, type Logger, silentLogger } from "../../../src/observability/logger.ts";
import { createMetrics } from "../../../src/observability/metrics.ts";
import { Secret } from "../../../src/shared/secret.ts";
import { adminContext } from "../../support/admin-context.ts";
import { patternBytes } from "../../support/blobs.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import type { ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

const KEY = "the-key-of-this-test";

class AdminServer implements AsyncDisposable {
  readonly gateway: InMemoryGateway;
  readonly client: ObjectClient;
  readonly errors: LogFields[] = [];
  draining = false;
  readonly #server: Server;

  constructor(gateway: InMemoryGateway, client: ObjectClient) {
    this.gateway = gateway;
    this.client = client;
    const logger: Logger = { ...silentLogger, error: (fields) => void this.errors.push(fields) };
    this.#server = createAdminServer({
      ...adminContext(gateway),
      apiKey: new Secret(KEY),
      metrics: createMetrics({ version: "1.2.3", processMetrics: false }),
      version: "1.2.3",
      logger,
      draining: () => this.draining,
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const address = this.#server.address();
    assert.ok(typeof address === "object" && address !== null);
    return fetch(`http://127.0.0.1:${address.port}${path}`, init);
  }

  /** With the key. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return this.fetch(path, { ...init, headers: { "X-API-Key": KEY } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function openServer(): Promise<AdminServer> {
  const { gateway, client } = await openBox();
  return new AdminServer(gateway, client).listen();
}

/** Fails unless the answer is a problem of this status, as RFC 9457 has it. */
async function assertProblem(response: Response, status: number): Promise<string> {
  assert.equal(response.status, status);
  assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
  const problem = problemSchema.parse(await response.json());
  assert.equal(problem.status, status);
  assert.equal(problem.type, "about:blank");
  return problem.detail ?? "";
}

test("health, readiness, metrics and the API's description want no key", async () => {
  await using server = await openServer();
  assert.deepEqual(await (await server.fetch("/healthz")).json(), { status: "ok" });
  const ready = await server.fetch("/readyz");
  assert.deepEqual([ready.status, await ready.json()], [200, { status: "ok", reasons: [] }]);
  const metrics = await server.fetch("/metrics");
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain/);
  assert.match(await metrics.text(), /bulkhead_build_info\{version="1.2.3"\} 1/);
  assert.equal((await server.fetch("/openapi.json")).status, 200);
});

test("a gateway on its way down is alive and not ready", async () => {
  await using server = await openServer();
  server.draining = true;
  assert.equal((await server.fetch("/readyz")).status, 503);
  assert.equal((await server.fetch("/healthz")).status, 200);
});

test("everything under /api wants the key: without one it is 401, with another 403, whatever the path", async () => {
  await using server = await openServer();
  for (const path of ["/api/v1/storage/cluster/status", "/api/v1/objects/box/a", "/api/nothing", "/api"]) {
    await assertProblem(await server.fetch(path), 401);
    for (const key of ["wrong", `${KEY} `.slice(1), `${KEY}x`, ""]) {
      const response = await server.fetch(path, { headers: { "X-API-Key": key } });
      assert.ok(response.status === 403 || (key === "" && response.status === 401), `${path} with "${key}"`);
    }
  }
  assert.equal((await server.ask("/api/v1/storage/cluster/status")).status, 200);
});

test("the views of the cluster are served as JSON", async () => {
  await using server = await openServer();
  await server.client.put("box/a", patternBytes(1_000, 1));
  for (const [path, property] of [
    ["/api/v1/storage/cluster/status", "cluster_healthy"],
    ["/api/v1/storage/cluster/workers", "workers"],
    ["/api/v1/storage/cluster/domains", "domains"],
    ["/api/v1/storage/cluster/replication", "missing"],
    ["/api/v1/storage/cluster/scrub", "nodes"],
    ["/api/v1/catalog/journal", "durable_version"],
    ["/api/v1/catalog/snapshot", "newest"],
    ["/api/v1/catalog/verify", "findings"],
    ["/api/v1/catalog/rebuild", "orphans_held"],
    ["/api/v1/catalog/changes", "changes"],
    ["/api/v1/objects/box/a", "versions"],
  ] as const) {
    const response = await server.ask(path);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    assert.ok(property in Object(await response.json()), path);
  }
});

test("an object's key is taken from the path as it is", async () => {
  await using server = await openServer();
  for (const key of ["a/b", "a//b", "a/../b", "ü %/?#"]) {
    await server.client.put(`box/${key}`, patternBytes(10, 1));
    const response = await server.ask(`/api/v1/objects/box/${encodeURIComponent(key)}?offset=5`);
    const found: unknown = await response.json();
    assert.equal(Object(found).key, key);
  }
});

test("what is not there, or not a call, is a problem", async () => {
  await using server = await openServer();
  await assertProblem(await server.ask("/api/v1/objects/box/absent"), 404);
  await assertProblem(await server.ask("/api/v1/objects/box"), 400);
  await assertProblem(await server.ask("/api/v1/objects/box/a%ff"), 400);
  await assertProblem(await server.ask("/api/v1/nothing"), 404);
  await assertProblem(await server.fetch("/nothing"), 404);
  await assertProblem(await server.ask("/api/v1/objects/box/a", { method: "DELETE" }), 405);
  await assertProblem(await server.ask("/api/v1/storage/cluster/status", { method: "POST" }), 404);
});

test("a scrub is asked for by POST, of one node or of all, and answered before it is done", async () => {
  await using server = await openServer();
  const path = "/api/v1/storage/cluster/scrub";
  const post = (body?: string): Promise<Response> =>
    server.ask(path, { method: "POST", ...(body === undefined ? {} : { body }) });
  const states = async (response: Response): Promise<string[]> => {
    const { nodes } = scrubsSchema.parse(await response.json());
    return nodes.map(({ node, state }) => `${node} ${state}`);
  };
  const one = await post('{"node":"d0-0"}');
  assert.equal(one.status, 202);
  assert.deepEqual(await states(one), ["d0-0 starting", "d1-0 idle"]);
  const all = await post();
  assert.equal(all.status, 202);
  assert.deepEqual(await states(all), ["d0-0 starting", "d1-0 starting"]);
  assert.equal(await assertProblem(await post('{"node":"d7-7"}'), 404), "there is no node d7-7");
  await assertProblem(await post('{"nodes":["d0-0"]}'), 400);
  await assertProblem(await post('{"node":7}'), 400);
  await assertProblem(await post("{"), 400);
  await assertProblem(await server.fetch(path, { method: "POST" }), 401);
});

test("a call that fails here is a problem that says nothing of why, and the log does", async () => {
  await using server = await openServer();
  const cause = new Error("a secret detail");
  server.gateway.kv.hooks.list = () => Promise.reject(cause);
  const detail = await assertProblem(await server.ask("/api/v1/storage/cluster/status"), 500);
  assert.ok(!detail.includes("secret"));
  assert.deepEqual(server.errors, [{ err: cause, path: "/api/v1/storage/cluster/status" }]);
});

test("a snapshot and a verification are begun by POST, one at a time", async () => {
  await using server = await openServer();
  for (const [path, schema] of [
    ["/api/v1/catalog/snapshot", snapshotSchema],
    ["/api/v1/catalog/verify", verificationSchema],
  ] as const) {
    const begun = await server.ask(path, { method: "POST" });
    assert.equal(begun.status, 202);
    schema.parse(await begun.json());
    await assertProblem(await server.ask(path, { method: "POST" }), 409);
    await assertProblem(await server.fetch(path, { method: "POST" }), 401);
  }
});

test("what a rebuild could not see is accepted by POST", async () => {
  await using server = await openServer();
  const state = async (method: "GET" | "POST"): Promise<unknown> =>
    (await server.ask("/api/v1/catalog/rebuild", { method })).json();
  assert.deepEqual(await state("GET"), { orphans_held: false, reason: null });
  await server.gateway.kv.atomic().set(orphansHeldKey(), Buffer.from("not all was seen")).commit();
  assert.deepEqual(await state("GET"), { orphans_held: true, reason: "not all was seen" });
  await assertProblem(await server.fetch("/api/v1/catalog/rebuild", { method: "POST" }), 401);
  assert.deepEqual(await state("POST"), { orphans_held: false, reason: null });
});

test("which changes are asked for is taken from the query", async () => {
  await using server = await openServer();
  await assertProblem(await server.ask("/api/v1/catalog/changes?after=x"), 400);
  await assertProblem(await server.ask("/api/v1/catalog/changes?after=1&after=2"), 400);
  const { next } = changesSchema.parse(await (await server.ask("/api/v1/catalog/changes?after=1&limit=5")).json());
  assert.equal(next, 1, "nothing is durable in a journal that was not started");
});

test("answers tell nothing of what they are made with", async () => {
  await using server = await openServer();
  const { headers } = await server.fetch("/healthz");
  assert.deepEqual([headers.get("x-powered-by"), headers.get("etag")], [null, null]);
});

test("a node is changed without a restart; what makes no sense is refused and changes nothing", async () => {
  await using server = await openServer();
  const path = "/api/v1/storage/cluster/nodes/";
  const patch = (name: string, body: unknown): Promise<Response> =>
    server.ask(path + name, { method: "PATCH", body: typeof body === "string" ? body : JSON.stringify(body) });
  const { name, uuid } = server.gateway.members.topology.nodes[0] ?? assert.fail();
  const weight = async (): Promise<number | undefined> =>
    (await loadTopology(server.gateway.kv))?.records.get(uuid)?.weight;
  const before = await weight();
  for (const wrong of [
    {},
    { weight: -1 },
    { weight: 1.5 },
    { weight: 20_000 },
    { accepts_writes: "no" },
    { size: 1 },
    "{",
  ]) {
    await assertProblem(await patch(name, wrong), 400);
  }
  assert.match(await assertProblem(await patch("nobody", { weight: 1 }), 404), /no node nobody/);
  assert.equal(await weight(), before);

  const changed = await patch(name, { weight: 42, accepts_writes: false });
  assert.equal(changed.status, 200);
  assert.deepEqual(
    workersSchema.parse(await changed.json()).workers.map((worker) => worker.name),
    [name],
  );
  assert.equal(await weight(), 42);
});

test("the proof of every object is told a page at a time, and the estimate beside it", async () => {
  await using server = await openServer();
  await server.client.put("box/a", patternBytes(1_000, 1));
  const page = provePageSchema.parse(await (await server.ask("/api/v1/prove?bucket=box&limit=1")).json());
  assert.deepEqual(
    page.objects.map(({ key, good_copies }) => [key, good_copies]),
    [["a", 2]],
  );
  assert.equal((await server.ask("/api/v1/prove?bucket=none")).status, 404);
  assert.equal((await server.ask("/api/v1/prove?bucket=a&bucket=b")).status, 400);
  assert.equal((await server.fetch("/api/v1/prove")).status, 401);
  const answer = await (await server.ask("/api/v1/storage/cluster/durability")).json();
  assert.equal(durabilitySchema.parse(answer).mean_time_to_loss_years, null);
});

test("nodes and domains are added, changed and removed, and what contradicts the cluster is a conflict by name", async () => {
  await using server = await openServer();
  const at = "/api/v1/storage/cluster";
  const send = (method: string, path: string, body?: object): Promise<Response> =>
    server.ask(`${at}/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const conflict = async (response: Promise<Response>): Promise<string> => assertProblem(await response, 409);
  const node = {
    name: "new",
    endpoint: "volume:/disks/new",
    domain: "d0",
    physical_storage_id: "p",
    metrics_path: "/m",
  };
  assert.deepEqual(JSON.parse(await conflict(send("POST", "nodes", node))), {
    name: "new",
    endpoint: "volume:/disks/new",
    faultDomain: "d0",
    physicalStorageId: "p",
    metricsPath: "/m",
  });
  await assertProblem(await send("POST", "nodes", { ...node, colour: "red" }), 400);
  await assertProblem(await send("POST", "nodes", { name: "new" }), 400);
  assert.equal((await send("PATCH", "nodes/d0-0", { enabled: false, rack: "r" })).status, 200);
  await assertProblem(await send("PATCH", "nodes/d0-0", { enabled: false, accepts_writes: true }), 400);
  await assertProblem(await send("PATCH", "nodes/d0-0", { access_key: "k" }), 400);
  assert.match(await conflict(send("DELETE", "nodes/d0-0")), /domains\.d0 is an active domain without any node/);
  await assertProblem(await send("DELETE", "nodes/z"), 404);
  await assertProblem(await send("DELETE", "nodes/d0-0?lost=maybe"), 400);
  assert.equal((await send("POST", "domains", { name: "d2" })).status, 201);
  assert.match(await conflict(send("POST", "domains", { name: "d2" })), /there is a domain d2 already/);
  assert.match(await conflict(send("PATCH", "domains/d2", { accepts_writes: true })), /without any node/);
  assert.equal((await send("DELETE", "domains/d2")).status, 200);
  await assertProblem(await send("PATCH", "domains/d2", { min_nodes: 1 }), 404);
  await assertProblem(await send("POST", "domains", { name: "a b" }), 400);
});

test("live settings are read and changed as a whole, under a version, and a reload tells what it could not take over", async () => {
  await using server = await openServer();
  const at = "/api/v1/storage/cluster/config";
  const settings = liveSettingsSchema.parse(await (await server.ask(at)).json());
  assert.deepEqual(settings.replication, { factor: 2, quorum: 2, domain_choice: "hash" });
  const put = (body: object): Promise<Response> => server.ask(at, { method: "PUT", body: JSON.stringify(body) });
  assert.match(
    await assertProblem(await put({ replication: { factor: 3 } }), 409),
    /replication\.factor must be at most 2/,
  );
  await assertProblem(await put({ replication: { factor: "many" } }), 400);
  await assertProblem(await put({ version: settings.version + 1, replication: { quorum: 1 } }), 409);
  assert.equal((await put({ version: settings.version, replication: { factor: 1, quorum: "auto" } })).status, 200);
  const stored = await loadTopology(server.gateway.kv);
  assert.deepEqual([stored?.topology.replication.factor, stored?.topology.replication.quorum], [1, 1]);
  const after = liveSettingsSchema.parse(await (await server.ask(at)).json());
  assert.deepEqual(
    after.previous_factors.map(({ factor }) => factor),
    [2],
  );
  const reloaded = reloadSchema.parse(await (await server.ask(`${at}/reload`, { method: "POST" })).json());
  assert.deepEqual(reloaded.needs_restart, ["server.s3"]);
});

test("limits of background work are set live, shown as such, and taken back to what is configured", async () => {
  await using server = await openServer();
  const at = "/api/v1/storage/cluster/config";
  const send = (limits: object, more: object = {}): Promise<Response> =>
    server.ask(at, { method: "PATCH", body: JSON.stringify({ ...more, limits }) });
  const limits = async () => liveSettingsSchema.parse(await (await server.ask(at)).json()).limits;
  const configured = await limits();
  assert.deepEqual(configured, {
    rebalance: { rate_limit_per_second: 10, bandwidth_limit_mib: "none", set_live: [] },
    repair: { rate_limit_per_second: "auto", bandwidth_limit_mib: "auto", set_live: [] },
    scrub: { rate_limit_per_second: 100, bandwidth_limit_mib: 20, set_live: [] },
  });
  assert.equal(
    (await send({ rebalance: { rate_limit_per_second: 50 }, repair: { bandwidth_limit_mib: 8 } })).status,
    200,
  );
  assert.equal((await send({ rebalance: { bandwidth_limit_mib: 4 } })).status, 200);
  const live = await limits();
  assert.deepEqual(live.rebalance, {
    rate_limit_per_second: 50,
    bandwidth_limit_mib: 4,
    set_live: ["rate_limit_per_second", "bandwidth_limit_mib"],
  });
  assert.deepEqual(live.repair, {
    rate_limit_per_second: "auto",
    bandwidth_limit_mib: 8,
    set_live: ["bandwidth_limit_mib"],
  });
  assert.deepEqual(live.scrub, configured.scrub);
  for (const refused of [
    { rebalance: { rate_limit_per_second: 0 } },
    { rebalance: { rate_limit_per_second: "none" } },
    { scrub: { bandwidth_limit_mib: "auto" } },
    { repair: { bandwidth_limit_mib: "none" } },
    { drains: {} },
  ]) {
    await assertProblem(await send(refused), 400);
  }
  // Nothing of a request that is refused is done.
  await assertProblem(await send({ scrub: { rate_limit_per_second: 1 } }, { replication: { factor: 3 } }), 409);
  assert.deepEqual((await limits()).scrub, configured.scrub);
  const back = { rate_limit_per_second: null, bandwidth_limit_mib: null };
  assert.equal((await send({ rebalance: back, repair: back })).status, 200);
  assert.deepEqual(await limits(), configured);
});

test("a node that is added while the gateway serves does not make it unready", async () => {
  await using server = await openServer();
  assert.equal((await server.fetch("/readyz")).status, 200);
  server.gateway.members.setState(server.gateway.node("d1-0").uuid, "joining");
  const ready = await server.fetch("/readyz");
  assert.equal(ready.status, 200);
  await using fresh = new AdminServer(server.gateway, server.client);
  await fresh.listen();
  assert.equal((await fresh.fetch("/readyz")).status, 503, "one that was never ready waits for its nodes");
});
