import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import type { Buckets, Pins, PresignedUrlAnswer } from "../../../src/admin/direct-types.ts";
import { runCli } from "../../../src/cli/run.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { noTerminal } from "../../support/no-terminal.ts";

const PRESIGNED: PresignedUrlAnswer = {
  url: "http://gw/box/a?signed",
  method: "GET",
  bucket: "box",
  key: "a",
  expires_at: "2026-11-22T10:00:00.000Z",
  node: null,
  pin: null,
  differences: [],
};

const PINS: Pins = {
  pins: [
    {
      pin: "0a-1",
      bucket: "box",
      key: "a b",
      blob_id: "0a",
      node: null,
      node_id: "0b",
      created_at: "2026-11-22T10:00:00.000Z",
      until: "2026-11-23T10:00:00.000Z",
      ended: true,
    },
  ],
};

const BUCKET = { created_at: "2026-11-22T10:00:00.000Z", owner: "root", location: "" };
const PAGES: readonly Buckets[] = [
  { buckets: [{ name: "a", ...BUCKET, read_redirect: false }], next: "a" },
  { buckets: [{ name: "b", ...BUCKET, read_redirect: true }], next: null },
];

const ANSWERS: Readonly<Record<string, unknown>> = {
  "POST /api/v1/presign": PRESIGNED,
  "GET /api/v1/pins": PINS,
  "DELETE /api/v1/pins/0a-1": { pins: [] },
  "GET /api/v1/buckets": PAGES[0],
  "GET /api/v1/buckets?after=a": PAGES[1],
  "PATCH /api/v1/buckets/b": PAGES[1],
};

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Bodies that the admin API was sent. */
  readonly sent: unknown[];
}

async function run(...args: string[]): Promise<Ran> {
  const sent: unknown[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      if (body !== "") sent.push(JSON.parse(body));
      const answer = ANSWERS[`${request.method} ${request.url}`];
      response.statusCode = answer === undefined ? 404 : 200;
      response.end(JSON.stringify(answer ?? {}));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  let [stdout, stderr] = ["", ""];
  const never = (): never => assert.fail("not asked for");
  try {
    const code = await runCli(args, {
      version: "1.2.3",
      terminal: noTerminal,
      env: { BULKHEAD_ADMIN_URL: `http://127.0.0.1:${address.port}`, BULKHEAD_ADMIN_API_KEY: "key" },
      stdout: (text) => {
        stdout += text;
      },
      stderr: (text) => {
        stderr += text;
      },
      serve: never,
      rebuildCatalog: never,
      checkConfig: () => ({ sound: true, adminUrl: "http://127.0.0.1:1", apiKeyFile: "none" }),
      clock: systemClock,
      readFile: never,
    });
    return { code, stdout, stderr, sent };
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test("presign prints the URL alone, and all of the answer as JSON", async () => {
  const { code, stdout, sent } = await run("presign", "s3://box/a//b c");
  assert.deepEqual([code, stdout, sent], [0, `${PRESIGNED.url}\n`, [{ bucket: "box", key: "a//b c" }]]);
  assert.deepEqual(JSON.parse((await run("presign", "s3://box/a", "--json")).stdout), PRESIGNED);
});

test("presign hands on what is asked for", async () => {
  const named = { bucket: "box", key: "a" };
  const { sent } = await run("presign", "s3://box/a", "--method", "put", "--expires", "2h");
  assert.deepEqual(sent, [{ ...named, method: "PUT", expires_seconds: 7_200 }]);
  const direct = await run("presign", "s3://box/a", "--version-id", "null", "--direct", "--node", "n");
  assert.deepEqual(direct.sent, [{ ...named, version_id: "null", direct: true, node: "n" }]);
  const lives = { "90s": 90, "90": 90, "15min": 900, "15 min": 900, "15m": 900, "1h": 3_600, "7d": 604_800 };
  for (const [text, seconds] of Object.entries(lives)) {
    const ran = await run("presign", "s3://box/a", "--expires", text);
    assert.deepEqual(ran.sent, [{ ...named, expires_seconds: seconds }]);
  }
});

test("presign refuses what is no object and no duration, by wrong usage", async () => {
  for (const url of ["box/a", "s3://box", "s3://box/", "s3:///a"])
    assert.equal((await run("presign", url)).code, 2, url);
  for (const expires of ["", "h", "1w", "-1s", "1.5h", "1h30min"]) {
    const { code, stderr } = await run("presign", "s3://box/a", "--expires", expires);
    assert.deepEqual([code, stderr.includes("--expires")], [2, true], expires);
  }
});

test("pins are listed and removed", async () => {
  assert.match((await run("pins")).stdout, /^0a-1 +s3:\/\/box\/a b +0b +2026-11-23T10:00:00.000Z +yes$/m);
  assert.equal((await run("pins", "remove", "0a-1")).code, 0);
  assert.equal((await run("pins", "remove", "none")).code, 1);
});

test("buckets are listed to the last page, and changed", async () => {
  const { stdout } = await run("buckets");
  assert.match(stdout, /^a .* off\nb .* on$/m);
  const set = await run("buckets", "set", "b", "--read-redirect", "on");
  assert.deepEqual([set.code, set.sent], [0, [{ read_redirect: true }]]);
  assert.equal((await run("buckets", "set", "b")).code, 2);
  assert.equal((await run("buckets", "set", "b", "--read-redirect", "yes")).code, 2);
});
