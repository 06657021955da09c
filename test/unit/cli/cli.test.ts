import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { ClusterStatus, Domains, ObjectLocation, Workers } from "../../../src/admin/api-types.ts";
import { type ConfigReport, runCli } from "../../../src/cli/run.ts";

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
};

const NODE: Workers["workers"][number] = {
  worker_id: "0a",
  name: "node-a",
  domain: "a",
  home_domain: "a",
  kind: "s3",
  endpoint: "http://10.0.0.1:9000",
  state: "online",
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
};

const WORKERS: Workers = {
  workers: [
    NODE,
    { ...NODE, name: "node-s", domain: "a", home_domain: "standby", state: "offline", reason: "no connection" },
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

/** Answers like the admin API; remembers what it was asked. */
class AdminServer {
  readonly asked: string[] = [];
  readonly server: Server;
  #answers = new Map<string, { status: number; body: unknown }>();

  constructor() {
    this.server = createServer((request, response) => {
      this.asked.push(request.url ?? "");
      const { status, body } = this.#answer(request);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  }

  answer(path: string, body: unknown, status = 200): void {
    this.#answers.set(path, { status, body });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  #answer(request: IncomingMessage): { status: number; body: unknown } {
    if (request.headers["x-api-key"] !== KEY) return { status: 401, body: problem(401, "Unauthorized") };
    return this.#answers.get(request.url ?? "") ?? { status: 404, body: problem(404, "Not found", "no such object") };
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
  admin.answer("/api/v1/objects/photos/a%20b%2F%C3%BC%3F.jpg", LOCATION);
});

after(() => {
  admin.server.close();
  admin.server.closeAllConnections();
});

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
  readonly checked: (string | undefined)[];
}

/** Runs a command in a world in which the local gateway is the server above, its key in a file. */
async function run(line: string | readonly string[], world: World = {}): Promise<Ran> {
  const { env = {}, files = { "data/keys/admin-api-key": KEY } } = world;
  const { report = { sound: true, adminUrl: admin.url, apiKeyFile: "data/keys/admin-api-key" } } = world;
  const printed = { stdout: "", stderr: "" };
  const served: (string | undefined)[] = [];
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
    checkConfig: (file) => {
      checked.push(file);
      return report;
    },
    readFile: (path) => files[path] ?? assert.fail(`there is no ${path}`),
  });
  return { code, ...printed, served, checked };
}

describe("what is printed", () => {
  test("status tells the state of the cluster", async () => {
    const { code, stdout } = await run("status");
    assert.equal(code, 0);
    assert.equal(
      stdout,
      [
        "Cluster:         not healthy",
        "Nodes:           1 of 2 healthy, 1 degraded",
        "Used:            1.5 GiB of 4.0 GiB (37.5 %)",
        "Free:            2.5 GiB",
        "Pending copies:  7",
        "Master:          -",
        "",
      ].join("\n"),
    );
  });

  test("nodes and domains are tables without colours", async () => {
    const nodes = await run("nodes");
    assert.deepEqual(nodes.stdout.split("\n").slice(0, 3), [
      "NAME    DOMAIN             STATE    WRITES  USED  TOTAL  LOAD  ENDPOINT              REASON",
      "node-a  a                  online   yes     -     -      0.25  http://10.0.0.1:9000",
      "node-s  a (home: standby)  offline  yes     -     -      0.25  http://10.0.0.1:9000  no connection",
    ]);
    const domains = await run("domains");
    assert.deepEqual(domains.stdout.split("\n").slice(0, 3), [
      "Replication: factor 2, quorum 2",
      "NAME  ROLE    WRITES  ONLINE  MIN NODES  COPIES  USED  TOTAL",
      "a     active  yes     1/2     1          1       1 B   1.0 KiB",
    ]);
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

  test("help tells the exit codes and ends well, as does the version", async () => {
    const help = await run("--help");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Exit codes: 0 success; 1 the command failed/);
    const version = await run("--version");
    assert.deepEqual([version.code, version.stdout], [0, "1.2.3\n"]);
  });
});
