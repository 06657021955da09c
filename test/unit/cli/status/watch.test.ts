/** The status that is shown again and again, by a gateway that comes and goes. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:http";
import { after, before, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { AdminClient } from "../../../../src/cli/admin-client.ts";
import { CliError, EXIT } from "../../../../src/cli/errors.ts";
import type { Terminal } from "../../../../src/cli/status/terminal.ts";
import { watchStatus } from "../../../../src/cli/status/watch.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const KEY = "the-key";
const JOURNAL = { mode: "sync", lag_ms: 0, lag_commits: 0, failure: null };
const ANSWERS: Readonly<Record<string, object>> = {
  "/api/v1/storage/cluster/status": {
    cluster_healthy: true,
    total_capacity_bytes: 0,
    used_bytes: 0,
    free_bytes: 0,
    utilization_pct: 0,
    master_id: null,
    worker_count: 2,
    workers_healthy: 2,
    workers_degraded: 0,
    pending_replications: 0,
    journal: JOURNAL,
    coordinator: { kind: "embedded", available: true, leader: true },
  },
  "/api/v1/storage/cluster/domains": { replication_factor: 2, write_quorum: 2, domains: [] },
  "/api/v1/storage/cluster/workers": { workers: [] },
  "/api/v1/storage/cluster/replication": {
    more: false,
    missing: 0,
    handoff: 0,
    unverified: 0,
    corrupt: 0,
    dying_blobs: 0,
    orphans: 0,
    orphans_removed: 0,
    orphans_checked_at: null,
    dead_letters: 0,
    oldest_missing_since: null,
  },
  "/api/v1/storage/cluster/jobs": {
    jobs: [
      { id: "7", kind: "DRAIN", subject: "a1", state: "running", progress_pct: 50 },
      { id: 8, what: "of another form" },
    ],
  },
};

/** What the gateway answers every call with, when it is not as it should be. */
let status = 200;
let server: Server;
let url: string;

before(async () => {
  server = createServer((request, response) => {
    const answer = status === 200 ? ANSWERS[request.url ?? ""] : undefined;
    const code = answer === undefined && status === 200 ? 404 : status;
    response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  url = `http://127.0.0.1:${address.port}`;
});

after(() => {
  server.close();
  server.closeAllConnections();
});

/** A user at a terminal that runs `bulkhead status --watch`. */
class Watcher {
  readonly clock = new ManualClock();
  readonly frames: string[] = [];
  readonly ended: Promise<void>;
  resize: (() => void) | undefined;
  columns = 80;
  readonly #interrupt = new AbortController();
  readonly #events = new EventEmitter();

  constructor(options: { readonly interactive: boolean; readonly url?: string }) {
    const terminal: Terminal = {
      interactive: options.interactive,
      colors: false,
      size: () => ({ columns: this.columns, rows: 24 }),
      onResize: (changed) => {
        this.resize = changed;
        return () => {
          this.resize = undefined;
        };
      },
      untilInterrupted: () => Object.assign(this.#interrupt.signal, { [Symbol.dispose]() {} }),
    };
    const admin = new AdminClient({ url: options.url ?? url, apiKey: KEY, apiKeyOrigin: "the test" });
    this.ended = watchStatus(admin, {
      intervalMs: 2_000,
      clock: this.clock,
      terminal,
      print: (text) => {
        this.frames.push(text);
        this.#events.emit("frame");
      },
    });
    // The test looks at it in the end.
    this.ended.catch(() => this.#events.emit("frame"));
  }

  /** As many pieces were printed. */
  async printed(count: number): Promise<string> {
    while (this.frames.length < count) await once(this.#events, "frame");
    return this.frames.at(-1) ?? "";
  }

  /** A screen was drawn. */
  async drawn(): Promise<void> {
    while (!this.frames.some((frame) => frame.includes("bulkhead status"))) await once(this.#events, "frame");
  }

  async interrupt(): Promise<void> {
    this.#interrupt.abort();
    await this.ended;
  }
}

test("the screen is drawn in place, on a screen of its own that is left again", async () => {
  const watcher = new Watcher({ interactive: true });
  const first = await watcher.printed(2);
  assert.equal(watcher.frames[0], "\u001B[?1049h\u001B[?25l");
  assert.ok(first.startsWith("\u001B[H") && first.endsWith("\u001B[J"));
  assert.ok(!first.includes("\u001B[2J"), "nothing is cleared before it is drawn");
  const lines = stripVTControlCharacters(first).split("\r\n");
  assert.match(lines[0] ?? "", /^bulkhead status {2}.* every 2 s$/);
  assert.ok(lines.includes("Cluster:   healthy"));
  assert.ok(lines.some((line) => /^DRAIN {2}a1 {2}running {2}\[#####-----\] {2}50 %/.test(line)));
  watcher.clock.advance(2_000);
  await watcher.printed(3);
  watcher.columns = 20;
  watcher.resize?.();
  const narrow = await watcher.printed(4);
  assert.ok(
    stripVTControlCharacters(narrow)
      .split("\r\n")
      .every((line) => line.length <= 20),
  );
  await watcher.interrupt();
  assert.equal(watcher.frames.at(-1), "\u001B[?25h\u001B[?1049l");
  assert.equal(watcher.clock.timers, 0);
});

test("a gateway that is away is waited for, with what was seen last", async () => {
  const watcher = new Watcher({ interactive: true });
  await watcher.printed(2);
  status = 503;
  watcher.clock.advance(2_000);
  const away = stripVTControlCharacters(await watcher.printed(3)).split("\r\n");
  assert.match(away[0] ?? "", /seen 2 s ago$/);
  assert.match(away[1] ?? "", /answered with status 503$/);
  assert.ok(away.includes("Cluster:   healthy"));
  status = 200;
  watcher.clock.advance(2_000);
  const back = stripVTControlCharacters(await watcher.printed(4)).split("\r\n");
  assert.deepEqual([back[0]?.includes("seen"), back[1]], [false, ""]);
  await watcher.interrupt();
});

test("a gateway that was never there is waited for, too", async () => {
  const watcher = new Watcher({ interactive: true, url: "http://127.0.0.1:1" });
  const lines = stripVTControlCharacters(await watcher.printed(2)).split("\r\n");
  assert.match(lines[0] ?? "", /nothing seen yet$/);
  assert.match(lines[1] ?? "", /^cannot reach the admin API at http:\/\/127\.0\.0\.1:1: nothing listens there/);
  await watcher.interrupt();
});

test("a key that is refused ends it, and the terminal is as it was", async () => {
  status = 403;
  const watcher = new Watcher({ interactive: true });
  const goesOn = watcher.drawn().then(() => assert.fail("it goes on"));
  await assert.rejects(
    Promise.race([watcher.ended, goesOn]),
    (error) => error instanceof CliError && error.exitCode === EXIT.denied,
  );
  status = 200;
  assert.deepEqual(watcher.frames, ["\u001B[?1049h\u001B[?25l", "\u001B[?25h\u001B[?1049l"]);
});

test("without a terminal it is plain text, one after the other", async () => {
  const watcher = new Watcher({ interactive: false });
  const text = await watcher.printed(1);
  assert.equal(stripVTControlCharacters(text), text);
  assert.match(text, /^bulkhead status .*\n\nCluster: {3}healthy\n[\s\S]*\n\n$/);
  await watcher.interrupt();
  assert.equal(watcher.frames.length, 1);
});
