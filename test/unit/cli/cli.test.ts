import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type {
  ClusterStatus,
  Domains,
  ObjectLocation,
  Replication,
  Scrubs,
  Worker,
  Workers,
} from "../../../src/admin/api-types.ts";
import type { JournalAnswer, VerificationAnswer } from "../../../src/admin/catalog-types.ts";
import type { DurabilityAnswer, ObjectProof } from "../../../src/admin/prove/prove-types.ts";
import { type ConfigReport, runCli } from "../../../src/cli/run.ts";
import { type Clock, systemClock } from "../../../src/shared/clock.ts";
import { noTerminal } from "../../support/no-terminal.ts";

const KEY = "the-admin-key";

const STATUS: ClusterStatus = {
  cluster_healthy: false,
  total_capacity_bytes: 4 * 2 ** 30,
  used_bytes: 1536 * 2 ** 20,
  free_bytes: 2560 * 2 ** 20,
  utilization_pct: 37.5,
  master_id: null,
  worker_count: 2,
  workers_healthy: 1,
  workers_degraded: 1,
  pending_replications: 7,
  journal: { mode: "async", lag_ms: 3_210, lag_commits: 12, failure: null },
  coordinator: { kind: "redis", available: true, leader: false },
};

const NODE: Workers["workers"][number] = {
  worker_id: "0a",
  name: "node-a",
  domain: "a",
  home_domain: "a",
  promoted: false,
  kind: "s3",
  endpoint: "http://10.0.0.1:9000",
  state: "online",
  conditions: [],
  missed_probes: 0,
  heartbeat: null,
  reason: null,
  since: "2026-11-22T10:00:00.000Z",
  accepts_writes: true,
  weight: 100,
  host: "10.0.0.1",
  rack: null,
  physical_storage_id: "node-a",
  disk_type: "unknown",
  total_bytes: null,
  used_bytes: null,
  free_bytes: null,
  load_score: 0.25,
  inflight: 0,
  waiting: 0,
  capacity_source: null,
  io_utilization: null,
  scraped_at: null,
  scrape_error: null,
  live_bytes: null,
  dead_bytes: null,
  compaction: null,
};

const COMPACTING: Worker = {
  ...NODE,
  name: "node-v",
  kind: "volume",
  endpoint: "/disks/v",
  total_bytes: 4096,
  used_bytes: 1536,
  free_bytes: 2560,
  load_score: 0.5,
  live_bytes: 1024,
  dead_bytes: 3 * 1024,
  compaction: {
    volume: 7,
    progress_pct: 40,
    moved_bytes: 100,
    removed_bytes: 0,
    removed_volumes: 0,
    failures: 0,
    damaged_copies: 0,
  },
};

const WORKERS: Workers = {
  workers: [
    NODE,
    { ...NODE, name: "node-s", domain: "a", home_domain: "standby", state: "unreachable", reason: "no connection" },
    COMPACTING,
  ],
};

const DOMAINS: Domains = {
  replication_factor: 2,
  write_quorum: 2,
  domains: [
    {
      name: "a",
      role: "active",
      priority: 0,
      accepts_writes: true,
      min_nodes: 1,
      replica_count: 1,
      node_count: 2,
      nodes_online: 1,
      total_bytes: 1024,
      used_bytes: 1,
      free_bytes: 1023,
    },
  ],
};

const JOURNAL: JournalAnswer = {
  mode: "sync",
  lag_ms: 0,
  lag_commits: 0,
  failure: null,
  version: 120,
  durable_version: 120,
  rebuildable: true,
  domains: [
    { domain: "a", through: 120, lag_commits: 0 },
    { domain: "b", through: 92, lag_commits: 28 },
  ],
  gaps: [{ from: 93, through: 94 }],
  missing_commits: 2,
  unlisted_nodes: ["node-b"],
  segments: 40,
  bytes: 2_048,
  snapshot: { state: "making", failure: null, newest: { base: 90, made_at: "2026-11-22T10:00:00.000Z" } },
  cursors: [{ name: "mirror", version: 100 }],
};

const VERIFICATION: VerificationAnswer = {
  status: "ok",
  started_at: "2026-11-22T10:00:00.000Z",
  ended_at: "2026-11-22T10:00:01.000Z",
  step: "entries",
  done: 50,
  total: 10,
  durable_version: 120,
  pieces: 10,
  entries: 50,
  domains: [
    { domain: "a", through: 120, sufficient: true },
    { domain: "b", through: 92, sufficient: false },
  ],
  nodes: [],
  not_asked: [],
  findings: [],
  finding_count: 0,
  failure: null,
};

const REPLICATION: Replication = {
  more: false,
  missing: 3,
  handoff: 0,
  unverified: 0,
  corrupt: 0,
  dying_blobs: 0,
  orphans: 0,
  orphans_removed: 0,
  orphans_checked_at: null,
  dead_letters: 0,
  oldest_missing_since: null,
};

const PROOF: ObjectProof = {
  bucket: "box",
  key: "a/b",
  version_id: "null",
  size: 5,
  offset: 0,
  length: 5,
  blobs: 1,
  good_copies: 2,
  wanted_copies: 2,
  reachable_copies: 2,
  domain_count: 2,
  domains: ["a", "b"],
  verified_at: "2026-11-22T10:00:00.000Z",
  states: { ok: 2, missing: 0, handoff: 0, unverified: 0, corrupt: 0, surplus: 0 },
  below_policy: false,
};

const DURABILITY: DurabilityAnswer = {
  copies: 2,
  annual_failure_rate: 0.02,
  restored_copies: 0,
  mean_time_to_restore_seconds: null,
  mean_time_to_loss_years: null,
  annual_loss_probability: null,
  nodes: [],
};

const COPY = { slot: 0, domain: "a", verified_at: null };
const LOCATION: ObjectLocation = {
  bucket: "photos",
  key: "a b/ü?.jpg",
  versions: [
    {
      version_id: "null",
      is_latest: true,
      delete_marker: false,
      size: 5,
      etag: "5d41402abc4b2a76b9719d911017c592",
      last_modified: "2026-11-22T10:00:00.000Z",
      storage_class: "STANDARD",
      layout: "replicas",
      extents: [
        {
          blob_id: "0f",
          offset: 0,
          length: 5,
          copies: [
            {
              ...COPY,
              state: "ok",
              node: "node-a",
              node_id: "0a",
              node_domain: "a",
              location: { container: "node-a", key: ".bulkhead/x" },
            },
            {
              ...COPY,
              slot: 1,
              domain: "b",
              state: "missing",
              node: null,
              node_id: null,
              node_domain: null,
              location: null,
            },
          ],
        },
      ],
      next_offset: null,
    },
  ],
};

const PASS = {
  started_at: "2026-11-22T10:00:00.000Z",
  requested: false,
  copies_total: 300,
  copies_seen: 100,
  copies_verified: 90,
  bytes_verified: 3 * 2 ** 20,
  corrupt: 1,
  lost: 2,
  failed: 3,
};

const SCRUBS: Scrubs = {
  nodes: [
    {
      node: "node-a",
      node_id: "0a",
      state: "running",
      pass: PASS,
      last_pass: null,
      next_pass_at: null,
      comparison: {
        started_at: "2026-11-22T10:00:00.000Z",
        ended_at: "2026-11-22T10:01:00.000Z",
        copies_listed: 301,
        lost: 0,
        orphans: 0,
        unknown: 1,
        failed: 0,
      },
      foreign: { names: ["photos/"], count: 1_000, more: true, checked_at: "2026-11-22T10:01:00.000Z" },
    },
    {
      node: "node-b",
      node_id: "0b",
      state: "idle",
      pass: null,
      last_pass: { ...PASS, copies_seen: 300, ended_at: "2026-11-22T11:00:00.000Z" },
      next_pass_at: "2026-12-07T10:00:00.000Z",
      comparison: null,
      foreign: null,
    },
  ],
};

/** Answers like the admin API; remembers what it was asked. */
class AdminServer {
  readonly asked: string[] = [];
  /** Bodies of what was sent. */
  readonly sent: string[] = [];
  readonly server: Server;
  #answers = new Map<string, { status: number; body: unknown }>();

  constructor() {
    this.server = createServer((request, response) => {
      this.asked.push(request.url ?? "");
      const { status, body } = this.#answer(request);
      const answer = (): void =>
        void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      if (request.method === "GET") return answer();
      request.setEncoding("utf8").once("data", (text: string) => void this.sent.push(text));
      request.once("end", answer);
    });
  }

  /** @param body several of them are given one after the other, the last one from then on */
  answer(path: string, body: unknown, status = 200): void {
    this.#answers.set(path, { status, body });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  #answer(request: IncomingMessage): { status: number; body: unknown } {
    if (request.headers["x-api-key"] !== KEY) return { status: 401, body: problem(401, "Unauthorized") };
    const key = request.method === "GET" ? request.url : `${request.method} ${request.url}`;
    const { status, body } = this.#answers.get(key ?? "") ?? {
      status: 404,
      body: problem(404, "Not found", "no such object"),
    };
    if (!Array.isArray(body)) return { status, body };
    return { status, body: body.length > 1 ? body.shift() : body[0] };
  }
}

function problem(status: number, title: string, detail?: string): unknown {
  return { type: "about:blank", title, status, ...(detail === undefined ? {} : { detail }) };
}

const admin = new AdminServer();

before(async () => {
  admin.server.listen(0, "127.0.0.1");
  await once(admin.server, "listening");
  admin.answer("/api/v1/storage/cluster/status", STATUS);
  admin.answer("/api/v1/storage/cluster/workers", WORKERS);
  admin.answer("/api/v1/storage/cluster/domains", DOMAINS);
  admin.answer("/api/v1/storage/cluster/replication", REPLICATION);
  admin.answer("/api/v1/storage/cluster/durability", DURABILITY);
  admin.answer("/api/v1/storage/cluster/scrub", SCRUBS);
  admin.answer("/api/v1/catalog/journal", JOURNAL);
  admin.answer("/api/v1/catalog/rebuild", { orphans_held: false, reason: null });
  admin.answer("POST /api/v1/storage/cluster/scrub", SCRUBS, 202);
  admin.answer("/api/v1/objects/photos/a%20b%2F%C3%BC%3F.jpg", LOCATION);
});

after(() => {
  admin.server.close();
  admin.server.closeAllConnections();
});

/** Waits for nothing. */
const quickClock: Clock = {
  ...systemClock,
  startTimer: (_delayMs, fire) => systemClock.startTimer(0, fire),
};

/** Output goes to a file. */
interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly report?: ConfigReport;
  readonly files?: Readonly<Record<string, string>>;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly served: (string | undefined)[];
  readonly rebuilt: unknown[];
  readonly checked: (string | undefined)[];
}

/** Runs a command in a world in which the local gateway is the server above, its key in a file. */
async function run(line: string | readonly string[], world: World = {}): Promise<Ran> {
  const { env = {}, files = { "data/keys/admin-api-key": KEY } } = world;
  const { report = { sound: true, adminUrl: admin.url, apiKeyFile: "data/keys/admin-api-key" } } = world;
  const printed = { stdout: "", stderr: "" };
  const served: (string | undefined)[] = [];
  const rebuilt: unknown[] = [];
  const checked: (string | undefined)[] = [];
  const code = await runCli(typeof line === "string" ? line.split(" ") : line, {
    version: "1.2.3",
    env,
    stdout: (text) => void (printed.stdout += text),
    stderr: (text) => void (printed.stderr += text),
    serve: async (file) => {
      served.push(file);
      return 0;
    },
    rebuildCatalog: async (file, options) => {
      rebuilt.push([file, options]);
      return 1;
    },
    checkConfig: (file) => {
      checked.push(file);
      return report;
    },
    clock: quickClock,
    terminal: noTerminal,
    readFile: (path) => files[path] ?? assert.fail(`there is no ${path}`),
  });
  return { code, ...printed, served, rebuilt, checked };
}

describe("what is printed", () => {
  test("status tells the state of the cluster on one screen", async () => {
    const { code, stdout } = await run("status");
    assert.equal(code, 0);
    assert.deepEqual(stdout.split("\n").slice(0, 10), [
      "Cluster:   not healthy",
      "Nodes:     1 of 2 healthy",
      "Capacity:  [#######-------------]  37 %  1.5 GiB of 4.0 GiB, 2.5 GiB free",
      "Policy:    factor 2, quorum 2",
      "Journal:   async, behind 3.2 s",
      "Leader:    redis, this gateway does not lead",
      "Copies:    missing 3, handoff 0, unverified 0, corrupt 0, dead letters 0",
      "",
      "DOMAINS",
      "a  active  1/2 online  [--------------------]   0 %  1 B of 1.0 KiB",
    ]);
    assert.match(stdout, /^node-s {2}a \(home: standby\) {2}unreachable .* no connection$/m);
  });

  test("status --watch is no JSON, and wants a number of seconds", async () => {
    for (const wrong of ["--watch --json", "--watch x", "--watch 0", "--watch 3601"]) {
      assert.equal((await run(`status ${wrong}`)).code, 2, wrong);
    }
  });

  test("prove asks page by page, tells of each object, and fails where one is below its policy", async () => {
    admin.answer("/api/v1/prove?limit=500&bucket=box&prefix=a%2Fb", {
      replication_factor: 2,
      objects: [PROOF],
      next: "go+on",
    });
    const last = { ...PROOF, key: "a/c", good_copies: 1, below_policy: true };
    const end = { replication_factor: 2, objects: [last], next: null };
    admin.answer("/api/v1/prove?limit=500&bucket=box&prefix=a%2Fb&after=go%2Bon", end);
    const text = await run("prove box/a/b");
    assert.equal(text.code, 1);
    assert.match(
      text.stdout,
      /^COPIES .*\n2\/2 .*box\/a\/b\n1\/2 .*box\/a\/c {2}\[below policy; ok 2\]\n\nObjects: +2 /,
    );
    const short = await run("prove box/a/b --summary --fail-under 1");
    assert.deepEqual([short.code, short.stdout.startsWith("Objects: ")], [0, true]);
    const json = await run("prove box/a/b --json");
    const lines = json.stdout.trimEnd().split("\n");
    const told = lines.map((line) => JSON.parse(line) as { kind: string; key?: string; below_policy?: unknown });
    assert.deepEqual(
      told.map(({ kind, key, below_policy }) => [kind, key, below_policy]),
      [
        ["object", "a/b", false],
        ["object", "a/c", true],
        ["summary", undefined, 1],
      ],
    );
    assert.equal((await run("prove box/a/b --fail-under x")).code, 2);
    assert.equal((await run("prove none")).code, 1);
  });

  test("nodes and domains are tables without colours", async () => {
    const nodes = await run("nodes");
    assert.deepEqual(nodes.stdout.split("\n").slice(0, 4), [
      "NAME    DOMAIN             STATE        WRITES  WEIGHT  USED            TOTAL    DEAD            LOAD  ENDPOINT              REASON",
      "node-a  a                  online       yes     100     -               -        -               0.25  http://10.0.0.1:9000",
      "node-s  a (home: standby)  unreachable  yes     100     -               -        -               0.25  http://10.0.0.1:9000  no connection",
      "node-v  a                  online       yes     100     1.5 KiB (38 %)  4.0 KiB  3.0 KiB (40 %)  0.50  /disks/v",
    ]);
    const domains = await run("domains");
    assert.deepEqual(domains.stdout.split("\n").slice(0, 3), [
      "Replication: factor 2, quorum 2",
      "NAME  ROLE    WRITES  ONLINE  MIN NODES  COPIES  USED  TOTAL",
      "a     active  yes     1/2     1          1       1 B   1.0 KiB",
    ]);
  });

  test("nodes set changes a node, and says what it wants where it is told nothing that makes sense", async () => {
    admin.answer("PATCH /api/v1/storage/cluster/nodes/node%20a", { workers: WORKERS.workers.slice(0, 1) });
    const { code, stdout } = await run(["nodes", "set", "node a", "--weight", "50", "--accepts-writes", "no"]);
    assert.equal(code, 0);
    assert.match(stdout, /^NAME.*\nnode-a /);
    assert.deepEqual(JSON.parse(admin.sent.pop() ?? ""), { weight: 50, accepts_writes: false });
    const json = await run(["nodes", "set", "node a", "--weight", "50", "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), { workers: WORKERS.workers.slice(0, 1) });
    admin.sent.pop();
    for (const wrong of ["", "--weight x", "--weight -1", "--accepts-writes maybe"]) {
      assert.equal((await run(`nodes set a ${wrong}`.trim())).code, 2, wrong);
    }
    assert.deepEqual(admin.sent, []);
  });

  test("nodes rejoin takes a node back, and events lists what happened, from the newest or after a number", async () => {
    admin.answer("POST /api/v1/storage/cluster/nodes/node%20a/rejoin", { workers: WORKERS.workers.slice(0, 1) });
    assert.match((await run(["nodes", "rejoin", "node a"])).stdout, /^NAME.*\nnode-a /);
    assert.equal(admin.sent.pop(), "{}");
    const event = {
      sequence: 9,
      kind: "NODE_OFFLINE",
      time: "2026-11-22T10:00:00.000Z",
      node: "node-a",
      domain: null,
      cause: "no answer",
      gateway: "g/1",
    };
    admin.answer("/api/v1/storage/cluster/events?limit=50", { events: [event], last: 9 });
    const { stdout } = await run("events");
    assert.deepEqual(stdout.split("\n").slice(0, 2), [
      "NUMBER  TIME                      KIND          NODE    DOMAIN  GATEWAY  CAUSE",
      "9       2026-11-22T10:00:00.000Z  NODE_OFFLINE  node-a  -       g/1      no answer",
    ]);
    admin.answer("/api/v1/storage/cluster/events?limit=5&after=8", { events: [event], last: 9 });
    const json = await run(["events", "--limit", "5", "--after", "8", "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), { events: [event], last: 9 });
    assert.equal((await run("events --limit x")).code, 2);
  });

  test("events --follow tells new events a line each, until the gateway does not answer any more", async () => {
    const event = {
      kind: "NODE_ONLINE",
      time: "2026-11-22T10:00:00.000Z",
      node: "n",
      domain: "d",
      cause: "c",
      gateway: "g",
    };
    admin.answer("/api/v1/storage/cluster/events?limit=1", { events: [{ ...event, sequence: 9 }], last: 9 });
    admin.answer("/api/v1/storage/cluster/events?limit=1000&after=9", {
      events: [{ ...event, sequence: 10 }],
      last: 10,
    });
    const { code, stdout } = await run("events --follow --limit 1");
    assert.notEqual(code, 0);
    assert.equal(stdout, [9, 10].map((at) => `${at}  2026-11-22T10:00:00.000Z  NODE_ONLINE  n  d  g  c\n`).join(""));
  });

  test("a node is added with its keys from the environment or a file, never shown, and told to be wrong where it is", async () => {
    admin.answer("POST /api/v1/storage/cluster/nodes", { workers: WORKERS.workers.slice(0, 1) }, 201);
    const place = ["--endpoint", "http://10.0.0.9:9000", "--domain", "a"];
    const env = { BULKHEAD_NODE_ACCESS_KEY: "access", BULKHEAD_NODE_SECRET_KEY: "secret-of-node" };
    const added = await run(["nodes", "add", "node-c", ...place, "--weight", "50"], { env });
    assert.deepEqual([added.code, added.stdout.includes("secret-of-node")], [0, false]);
    const sent = { name: "node-c", endpoint: "http://10.0.0.9:9000", domain: "a" };
    assert.deepEqual(JSON.parse(admin.sent.pop() ?? ""), {
      ...sent,
      weight: 50,
      access_key: "access",
      secret_key: "secret-of-node",
    });
    const files = { "data/keys/admin-api-key": KEY, "/the/secret": "from-a-file" };
    await run(["nodes", "add", "node-c", ...place, "--access-key", "k", "--secret-key-file", "/the/secret"], { files });
    assert.deepEqual(JSON.parse(admin.sent.pop() ?? ""), { ...sent, access_key: "k", secret_key: "from-a-file" });
    admin.answer("POST /api/v1/storage/cluster/nodes", { workers: WORKERS.workers.slice(1, 2) }, 201);
    assert.equal((await run(["nodes", "add", "node-s", ...place])).code, 1, "its first check failed");
    admin.sent.pop();
    for (const wrong of ["nodes add node-c", "nodes add node-c --endpoint http://x", "domains set a", "config set"]) {
      assert.equal((await run(wrong)).code, 2, wrong);
    }
    assert.deepEqual(admin.sent, []);
  });

  test("nodes are disabled, enabled and removed, domains added, changed and removed", async () => {
    admin.answer("PATCH /api/v1/storage/cluster/nodes/a", { workers: WORKERS.workers.slice(0, 1) });
    await run("nodes disable a");
    await run("nodes enable a");
    assert.deepEqual(
      admin.sent.splice(0).map((body) => JSON.parse(body)),
      [{ enabled: false }, { enabled: true }],
    );
    admin.answer("DELETE /api/v1/storage/cluster/nodes/a", { removed: "a", copies_on_record: false });
    assert.equal((await run("nodes remove a")).stdout, "Node a is no member any more.\n");
    admin.answer("DELETE /api/v1/storage/cluster/nodes/a?lost=true", { removed: "a", copies_on_record: true });
    assert.match((await run("nodes remove a --lost")).stdout, /its copies are made anew/);
    const DOMAINS = { replication_factor: 2, write_quorum: 2, domains: [] };
    admin.answer("POST /api/v1/storage/cluster/domains", DOMAINS, 201);
    admin.answer("PATCH /api/v1/storage/cluster/domains/c", DOMAINS);
    admin.answer("DELETE /api/v1/storage/cluster/domains/c", DOMAINS);
    admin.sent.splice(0);
    assert.equal((await run("domains add c --replica-count 2 --priority 0")).code, 0);
    await run("domains set c --accepts-writes yes");
    const removed = await run("domains remove c --json");
    assert.deepEqual(JSON.parse(removed.stdout), DOMAINS);
    assert.deepEqual(
      admin.sent.slice(0, 2).map((body) => JSON.parse(body)),
      [{ name: "c", replica_count: 2, priority: 0 }, { accepts_writes: true }],
    );
    admin.sent.splice(0);
  });

  test("live settings are shown with the factors that there were before, and changed; a reload tells what has to wait", async () => {
    const settings = {
      version: 7,
      replication: { factor: 3, quorum: 2, domain_choice: "hash" },
      degraded_write: { enabled: true, min_replicas: 1, handoff: "any" },
      virtual_nodes_per_node: 150,
      limits: {
        rebalance: { rate_limit_per_second: 10, bandwidth_limit_mib: "none", set_live: [] },
        repair: { rate_limit_per_second: "auto", bandwidth_limit_mib: 8, set_live: ["bandwidth_limit_mib"] },
        scrub: { rate_limit_per_second: 100, bandwidth_limit_mib: 20, set_live: [] },
      },
      domains_that_accept_writes: 3,
      previous_factors: [{ factor: 2, until: "2026-01-02T03:04:05.000Z" }],
    };
    admin.answer("/api/v1/storage/cluster/config", settings);
    assert.match(
      (await run("config get")).stdout,
      /Factor: +3 of 3[^]*before 2026-01-02T03:04:05.000Z was planned with factor 2/,
    );
    admin.answer("PUT /api/v1/storage/cluster/config", settings);
    await run("config set --factor 3 --quorum auto --degraded-write no --if-version 6");
    assert.deepEqual(JSON.parse(admin.sent.pop() ?? ""), {
      replication: { factor: 3, quorum: "auto" },
      degraded_write: { enabled: false },
      version: 6,
    });
    assert.match(
      (await run("config get")).stdout,
      /Rebalance: +10 copies\/s, none bytes\nRepair: +auto copies, 8 MiB\/s \(set live\)\nScrub: +100 copies\/s, 20 MiB\/s\n/,
    );
    await run("config set --rebalance-rate 200 --rebalance-bandwidth none --repair-bandwidth configured");
    assert.deepEqual(JSON.parse(admin.sent.pop() ?? ""), {
      limits: {
        rebalance: { rate_limit_per_second: 200, bandwidth_limit_mib: "none" },
        repair: { bandwidth_limit_mib: null },
      },
    });
    assert.equal((await run("config set --scrub-rate fast")).code, 2);
    const report = { changed: true, needs_restart: ["server.s3"], version: 8 };
    admin.answer("POST /api/v1/storage/cluster/config/reload", report);
    assert.match(
      (await run("config reload")).stdout,
      /was changed; its version is 8\.\nTaken over at the next start: server\.s3/,
    );
    admin.sent.splice(0);
  });

  test("objects locate tells where each copy is", async () => {
    const { stdout } = await run(["objects", "locate", "photos", "a b/ü?.jpg"]);
    assert.deepEqual(stdout.split("\n").slice(0, 7), [
      "Version:   null (latest)",
      "Modified:  2026-11-22T10:00:00.000Z",
      "Size:      5 B",
      "ETag:      5d41402abc4b2a76b9719d911017c592",
      "OFFSET  LENGTH  BLOB  SLOT  DOMAIN  STATE    NODE    LOCATION            VERIFIED",
      "0       5       0f    0     a       ok       node-a  node-a/.bulkhead/x  -",
      "                      1     b       missing  -       -                   -",
    ]);
  });

  test("scrub tells of each node how far it is, or how the last pass went", async () => {
    const { stdout } = await run("scrub");
    assert.deepEqual(stdout.split("\n").slice(0, 3), [
      "NODE    STATE    PROGRESS  VERIFIED      CORRUPT  LOST  FAILED  LAST PASS                 UNKNOWN  FOREIGN",
      "node-a  running  33 %      90 (3.0 MiB)  1        2     3       -                         1        1000+",
      "node-b  idle     -         90 (3.0 MiB)  1        2     3       2026-11-22T11:00:00.000Z  -        -",
    ]);
    assert.deepEqual(admin.sent, []);
    const one = await run("scrub --node node-b --json");
    assert.deepEqual(JSON.parse(one.stdout), { nodes: SCRUBS.nodes.slice(1) });
    assert.equal((await run("scrub --node node-c")).code, 1);
  });

  test("scrub --start has it begin, on one node or on all", async () => {
    assert.equal((await run("scrub --start")).code, 0);
    assert.match((await run("scrub --start --node node-a")).stdout, /^NODE .*\nnode-a .*\n$/);
    assert.deepEqual(admin.sent, ["{}", '{"node":"node-a"}']);
  });

  test("catalog status tells how the journal is, and what it lacks", async () => {
    const { code, stdout } = await run("catalog status");
    assert.equal(code, 0);
    assert.deepEqual(stdout.split("\n"), [
      "Journal:         sync, up to date",
      "Commits:         120; durable in the journal to 120",
      "On nodes:        40 segments, 2.0 KiB with all copies and snapshots",
      "Snapshot:        after commit 90, made 2026-11-22T10:00:00.000Z; another one is being made",
      "Rebuildable:     yes, 2 commits are on no node",
      "Gap:             commits 93 to 94",
      "Not listed yet:  node-b",
      "Consumer:        mirror, at commit 100",
      "DOMAIN  THROUGH  BEHIND",
      "a       120      0",
      "b       92       28",
      "",
    ]);
    admin.answer("/api/v1/catalog/journal", { ...JOURNAL, failure: "too few nodes took a piece of the journal" });
    const failing = await run("catalog status");
    admin.answer("/api/v1/catalog/journal", JOURNAL);
    assert.match(failing.stdout, /^Journal: +sync, cannot be written: too few nodes took a piece/);
  });

  test("catalog accept gives up what a rebuild could not see, and status tells before", async () => {
    const held = { orphans_held: true, reason: "rebuilt without all of the journal" };
    const free = { orphans_held: false, reason: null };
    admin.answer("/api/v1/catalog/rebuild", held);
    admin.answer("POST /api/v1/catalog/rebuild", free);
    assert.match((await run("catalog status")).stdout, /^Orphans: +kept: rebuilt without all of the journal$/m);
    assert.match((await run("catalog accept")).stdout, /^What the rebuild could not see is given up/);
    admin.answer("/api/v1/catalog/rebuild", free);
    assert.equal((await run("catalog accept")).stdout, "There is nothing to accept.\n");
  });

  test("catalog snapshot begins one, and fails where one is being made", async () => {
    admin.answer("POST /api/v1/catalog/snapshot", JOURNAL.snapshot, 202);
    const begun = await run("catalog snapshot");
    assert.deepEqual([begun.code, begun.stdout.startsWith("A snapshot of the catalog is being made")], [0, true]);
    const taken = problem(409, "Conflict", "a snapshot is being made already");
    admin.answer("POST /api/v1/catalog/snapshot", taken, 409);
    const refused = await run("catalog snapshot");
    assert.deepEqual([refused.code, refused.stderr], [1, "bulkhead: a snapshot is being made already\n"]);
  });

  test("catalog verify begins, tells of its progress aside, and fails where something is wrong", async () => {
    const running: VerificationAnswer = { ...VERIFICATION, status: "running", ended_at: null, step: "pieces", done: 3 };
    admin.answer("/api/v1/catalog/verify", [VERIFICATION, { ...running, done: 7 }, VERIFICATION]);
    admin.answer("POST /api/v1/catalog/verify", running, 202);
    const right = await run("catalog verify");
    assert.equal(right.code, 0);
    assert.deepEqual(right.stderr, "reading the journal: 3 of 10\nreading the journal: 7 of 10\n");
    assert.deepEqual(right.stdout.split("\n"), [
      "Verified:              nothing is wrong",
      "Journal:               10 pieces, to commit 120",
      "Catalog:               50 entries",
      "Nodes:                 not compared",
      "Enough for a rebuild:  a (each alone)",
      "",
    ]);
    const wrong: VerificationAnswer = {
      ...VERIFICATION,
      status: "findings",
      not_asked: ["node-b"],
      findings: [{ kind: "bad-piece", message: "segment 1 2 1 on node-a: its checksum differs" }],
      finding_count: 2,
    };
    // One that runs already is followed.
    admin.answer("/api/v1/catalog/verify", [running, wrong]);
    const found = await run("catalog verify");
    assert.equal(found.code, 1);
    assert.deepEqual(found.stdout.split("\n").slice(-5), [
      "Enough for a rebuild:  a (each alone)",
      "Not asked:             node-b",
      "bad-piece: segment 1 2 1 on node-a: its checksum differs",
      "and 1 more",
      "",
    ]);
    admin.answer("/api/v1/catalog/verify", [running, wrong]);
    const json = await run("catalog verify --json");
    assert.deepEqual([json.code, JSON.parse(json.stdout)], [1, wrong]);
    admin.answer("/api/v1/catalog/verify", [running, { ...VERIFICATION, status: "failed", failure: "no room" }]);
    const failed = await run("catalog verify");
    assert.deepEqual([failed.code, /not verified: no room/.test(failed.stdout)], [1, true]);
  });

  test("--json gives the answers as they are", async () => {
    assert.deepEqual(JSON.parse((await run("status --json")).stdout), STATUS);
    assert.deepEqual(JSON.parse((await run("nodes --json")).stdout), WORKERS);
    assert.deepEqual(JSON.parse((await run("domains --json")).stdout), DOMAINS);
    const located = await run(["objects", "locate", "photos", "a b/ü?.jpg", "--json"]);
    assert.deepEqual(JSON.parse(located.stdout), LOCATION);
  });
});

describe("which admin API is asked, with which key", () => {
  test("--admin-url comes before the environment, and that before the configuration", async () => {
    const env = { BULKHEAD_ADMIN_URL: "http://127.0.0.1:1", BULKHEAD_ADMIN_API_KEY: KEY };
    assert.equal((await run("status", { env })).code, 3);
    assert.equal((await run(`status --admin-url ${admin.url}/`, { env })).code, 0);
    assert.equal((await run("status")).code, 0);
  });

  test("the key comes from the environment, a file that it names, the configuration or the data folder", async () => {
    const { code, stderr } = await run("status", { env: { BULKHEAD_ADMIN_API_KEY: "wrong" } });
    assert.equal(code, 4);
    assert.equal(stderr, `bulkhead: the admin API at ${admin.url} refuses the key from BULKHEAD_ADMIN_API_KEY\n`);
    const env = { BULKHEAD_ADMIN_API_KEY_FILE: "/run/key" };
    assert.equal((await run("status", { env, files: { "/run/key": KEY } })).code, 0);
    const report = { sound: true, adminUrl: admin.url, apiKey: KEY, apiKeyFile: "none" } as const;
    assert.equal((await run("status", { report })).code, 0);
  });

  test("the key of this machine's gateway is sent to no other", async () => {
    const asked = admin.asked.length;
    const report = { sound: true, adminUrl: "http://127.0.0.1:9071", apiKeyFile: "data/keys/admin-api-key" } as const;
    const { code, stderr } = await run(`status --admin-url ${admin.url}`, { report });
    assert.equal(code, 4);
    assert.match(stderr, /no key for the admin API: set BULKHEAD_ADMIN_API_KEY .* is not sent elsewhere/);
    assert.equal(admin.asked.length, asked);
  });

  test("a key that cannot be read is named by its file", async () => {
    const { code, stderr } = await run("status", { files: {} });
    assert.equal(code, 4);
    assert.match(stderr, /data\/keys\/admin-api-key cannot be read/);
  });
});

describe("what goes wrong", () => {
  test("an admin API that does not answer", async () => {
    const env = { BULKHEAD_ADMIN_API_KEY: KEY };
    const { code, stderr, stdout } = await run("nodes --admin-url http://127.0.0.1:1", { env });
    assert.equal(code, 3);
    assert.equal(stdout, "");
    assert.equal(
      stderr,
      "bulkhead: cannot reach the admin API at http://127.0.0.1:1: nothing listens there; is the gateway running?\n",
    );
  });

  test("an object that is not there", async () => {
    const { code, stderr } = await run("objects locate photos none");
    assert.equal(code, 1);
    assert.equal(stderr, "bulkhead: no such object\n");
  });

  test("something else that answers", async () => {
    const env = { BULKHEAD_ADMIN_API_KEY: KEY };
    admin.answer("/api/v1/storage/cluster/status", { hello: "world" });
    const other = await run("status", { env });
    admin.answer("/api/v1/storage/cluster/status", STATUS);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /is not the admin API of this version of Bulkhead/);
  });

  test("a redirect is not followed, as it would carry the key along", async () => {
    admin.answer("/api/v1/storage/cluster/domains", {}, 302);
    const { code, stderr } = await run("domains");
    admin.answer("/api/v1/storage/cluster/domains", DOMAINS);
    assert.equal(code, 1);
    assert.match(stderr, /answered with status 302/);
  });

  test("wrong usage", async () => {
    for (const line of ["stauts", "status --bogus", "objects locate photos", "nodes --admin-url ftp://x", "config"]) {
      const { code, stderr } = await run(line);
      assert.equal(code, 2, line);
      assert.notEqual(stderr, "", line);
    }
  });
});

describe("config check", () => {
  const report = {
    sound: false,
    problems: [{ property: "server.workers", value: "4", reason: "must be 1" }],
    lines: ["server.workers = 4: must be 1"],
  } as const;

  test("says that all is well", async () => {
    const { code, stdout, checked } = await run("config check --config my.yaml");
    assert.deepEqual([code, stdout, checked], [0, "The configuration is sound.\n", ["my.yaml"]]);
    assert.deepEqual(JSON.parse((await run("config check --json")).stdout), { ok: true, problems: [] });
  });

  test("prints every problem, a line each, and fails", async () => {
    const { code, stdout } = await run("config check", { report });
    assert.deepEqual([code, stdout], [1, "server.workers = 4: must be 1\n"]);
    const json = await run("config check --json", { report });
    assert.equal(json.code, 1);
    assert.deepEqual(JSON.parse(json.stdout), { ok: false, problems: report.problems });
  });
});

describe("serve, help and version", () => {
  test("serve hands the configuration file over", async () => {
    assert.deepEqual((await run("serve --config my.yaml")).served, ["my.yaml"]);
    assert.deepEqual((await run("serve")).served, [undefined]);
  });

  test("catalog rebuild hands over the file and what it is to put up with, and its exit code comes back", async () => {
    const plain = await run("catalog rebuild");
    assert.deepEqual(
      [plain.code, plain.rebuilt],
      [1, [[undefined, { acceptUnseen: false, newClusterKey: false, json: false }]]],
    );
    const all = await run("catalog rebuild --config my.yaml --accept-unseen --new-cluster-key --json");
    assert.deepEqual(all.rebuilt, [["my.yaml", { acceptUnseen: true, newClusterKey: true, json: true }]]);
  });

  test("help tells the exit codes and ends well, as does the version", async () => {
    const help = await run("--help");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Exit codes: 0 success; 1 the command failed/);
    const version = await run("--version");
    assert.deepEqual([version.code, version.stdout], [0, "1.2.3\n"]);
  });
});
