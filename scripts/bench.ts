/**
 * Benchmarks, side by side with the peers found on the machine (a `minio` program with one drive), in one run:
 *
 *   npm run bench -- [--rounds N] [--seconds S] [--json FILE] [--only PATTERN]
 *
 * Every round measures each case on each server in turn, the order changing from round to round, and the table shows the
 * medians. Bulkhead runs with its defaults: it keeps two copies of everything, each fsynced; MinIO keeps one.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { closeAll, startServers } from "../test/support/clusters.ts";
import { startGateway } from "../test/support/gateway.ts";
import { MIB } from "../test/support/sizes.ts";
import { cpuSeconds } from "./bench/cpu.ts";
import type { Job, Operation, Outcome } from "./bench/job.ts";
import { formatTable, type Sample, summarize } from "./bench/report.ts";

const GENERATOR = join(import.meta.dirname, "bench/generator.ts");

interface Size {
  readonly label: string;
  readonly bytes: number;
  readonly concurrency: number;
  readonly objects: number;
}

const SIZES: readonly Size[] = [
  { label: "4 KiB", bytes: 4096, concurrency: 16, objects: 1000 },
  { label: "1 MiB", bytes: MIB, concurrency: 16, objects: 100 },
  { label: "64 MiB", bytes: 64 * MIB, concurrency: 4, objects: 6 },
];

interface Case {
  readonly name: string;
  readonly operation: Operation;
  readonly size: Size;
}

const CASES: readonly Case[] = [
  ...(["put", "get", "head"] as const).flatMap((operation) =>
    SIZES.map((size) => ({ name: `${operation.toUpperCase()} ${size.label}`, operation, size })),
  ),
  ...SIZES.slice(0, 1).map((size) => ({ name: `LIST ${size.objects} keys`, operation: "list" as const, size })),
];

interface Server extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly pid: number;
}

async function startBulkhead(): Promise<Server> {
  const gateway = await startGateway({ env: { BULKHEAD_LOG_LEVEL: "warn" } });
  return {
    name: "bulkhead",
    url: gateway.s3Url,
    ...gateway.credentials,
    pid: gateway.pid,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

async function startPeers(): Promise<Server[]> {
  // A container's CPU time is not this machine's to read: only a program is a peer.
  process.env["BULKHEAD_TEST_SERVERS_HOW"] = "program";
  const minio = await startServers(1);
  if ("skip" in minio) {
    process.stderr.write(`no peer to compare with: ${minio.skip}\n`);
    return [];
  }
  return minio.map(({ endpoint, accessKey, secretKey, pid }) => ({
    name: "minio",
    url: endpoint,
    accessKey,
    secretKey,
    pid: pid ?? 0,
    [Symbol.asyncDispose]: () => closeAll(minio),
  }));
}

async function generate(server: Server, { operation, size }: Omit<Case, "name">, seconds: number): Promise<Outcome> {
  const job: Job = {
    url: server.url,
    accessKey: server.accessKey,
    secretKey: server.secretKey,
    bucket: `bench-${size.bytes}`,
    operation,
    objectBytes: size.bytes,
    concurrency: size.concurrency,
    objects: size.objects,
    seconds,
  };
  const { stdout } = await promisify(execFile)(process.execPath, [GENERATOR, JSON.stringify(job)]);
  return JSON.parse(stdout) as Outcome;
}

async function measure(server: Server, one: Case, seconds: number): Promise<Sample> {
  const before = cpuSeconds(server.pid);
  const outcome = await generate(server, one, seconds);
  const cpu = cpuSeconds(server.pid) - before;
  const perSecond = outcome.operations / outcome.seconds;
  const bodyBytes = one.operation === "put" || one.operation === "get" ? one.size.bytes : 0;
  return {
    server: server.name,
    name: one.name,
    operationsPerSecond: perSecond,
    mebibytesPerSecond: (perSecond * bodyBytes) / MIB,
    latencyMsMedian: outcome.latencyMsMedian,
    latencyMs99: outcome.latencyMs99,
    cpuMicrosecondsPerOperation: (cpu / outcome.operations) * 1e6,
  };
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    json: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const cases = CASES.filter((one) => one.name.includes(values.only));
if (!(rounds >= 1 && seconds > 0 && cases.length > 0)) {
  throw new Error("--rounds is at least 1, --seconds more than 0, and --only has to leave a case");
}

await using stack = new AsyncDisposableStack();
const servers = [stack.use(await startBulkhead()), ...(await startPeers()).map((peer) => stack.use(peer))];
for (const server of servers) {
  for (const size of SIZES) await generate(server, { operation: "prepare", size }, 0);
}
const samples: Sample[] = [];
for (let round = 0; round < rounds; round++) {
  for (const one of cases) {
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      samples.push(await measure(server, one, seconds));
    }
  }
  process.stderr.write(`round ${round + 1} of ${rounds}\n`);
}
const names = servers.map((server) => server.name);
const rows = summarize(samples, names);
const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryBytes: totalmem(),
  node: process.version,
};
process.stdout.write(`${formatTable(rows, names)}\n${machine.cores} cores, ${machine.cpu}, Node ${machine.node}\n`);
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify({ machine, rounds, seconds, rows, samples }, null, 2)}\n`);
}
