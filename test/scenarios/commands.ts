/** What an operator types while a scenario runs. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MinioServer } from "../support/find-minio.ts";
import { BULKHEAD, type Gateway } from "../support/gateway.ts";
import type { JobReport } from "../support/job-client.ts";
import { succeed } from "../support/programs.ts";

const OVER = ["done", "done-with-failures", "failed", "cancelled"];
const LOOK_MS = 200;

/** Adds a server to a domain as a node. */
export async function addNode(
  gateway: Gateway,
  name: string,
  { server, domain }: { readonly server: MinioServer; readonly domain: string },
): Promise<void> {
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
    BULKHEAD_NODE_ACCESS_KEY: server.accessKey,
    BULKHEAD_NODE_SECRET_KEY: server.secretKey,
  };
  const place = ["--endpoint", server.endpoint, "--domain", domain, "--host", name];
  await succeed("sh", [BULKHEAD, "nodes", "add", name, ...place], { env });
}

/** All jobs of a kind, those that began by themselves among them. */
export interface JobsProgress {
  readonly moved: number;
  readonly failed: number;
  /** Copies on record when the first began. */
  readonly total: number;
  readonly over: boolean;
  /** How each stands, for people. */
  readonly told: string;
}

/** Where the jobs of a kind stand, taken together. */
export async function jobsOf(gateway: Gateway, kind: string): Promise<JobsProgress> {
  const { jobs } = (await gateway.admin("/api/v1/storage/cluster/jobs")) as { jobs: readonly JobReport[] };
  const own = jobs.filter((job) => job.kind === kind);
  return {
    moved: own.reduce((sum, job) => sum + job.objects_moved, 0),
    failed: own.reduce((sum, job) => sum + job.objects_failed, 0),
    total: own.at(-1)?.objects_total ?? 0,
    over: own.length > 0 && own.every(({ state }) => OVER.includes(state)),
    told: own.map(({ state, detail }) => `${state}${detail === null ? "" : ` (${detail})`}`).join(", "),
  };
}

/** A look at a job. */
export interface Moved {
  readonly atMs: number;
  readonly moved: number;
}

/** Waits until the jobs of a kind are over. @returns how they went on, and how they ended */
export async function follow(
  gateway: Gateway,
  kind: string,
  { timeoutMs, say }: { readonly timeoutMs: number; readonly say: (line: string) => void },
): Promise<{ readonly end: JobsProgress; readonly looks: readonly Moved[] }> {
  const looks: Moved[] = [];
  const startedMs = performance.now();
  for (let toldMs = startedMs; ; await sleep(LOOK_MS)) {
    const now = await jobsOf(gateway, kind);
    const atMs = performance.now();
    looks.push({ atMs, moved: now.moved });
    if (now.over) return { end: now, looks };
    if (atMs > startedMs + timeoutMs) throw new Error(`the jobs ${kind} do not end: ${now.told}`);
    if (atMs > toldMs + 10_000) {
      toldMs = atMs;
      say(`${now.moved} of ${now.total} copies moved`);
    }
  }
}

/** Copies moved a second, while most of them were moved: the way to the first and after the last does not count. */
export function movedPerSecond(looks: readonly Moved[]): number {
  const all = looks.at(-1)?.moved ?? 0;
  const from = looks.find(({ moved }) => moved >= all * 0.1 && moved > 0);
  const to = looks.find(({ moved }) => moved >= all * 0.9);
  if (from === undefined || to === undefined) return Number.NaN;
  return (1000 * (to.moved - from.moved)) / (to.atMs - from.atMs);
}
