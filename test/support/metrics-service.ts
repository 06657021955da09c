/** An S3 service in memory whose server serves metrics that a test sets, and the handle of a node over it. */
import type { ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { type LoadedNodeHandle, openNodeHandle } from "../../src/compose/nodes.ts";
import type { Config } from "../../src/config/config.ts";
import type { Logger } from "../../src/observability/logger.ts";
import { createMetrics, type Metrics } from "../../src/observability/metrics.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { Secret } from "../../src/shared/secret.ts";
import { CONTRACT_CLUSTER_ID } from "../contract/storage-node-contract.ts";
import { eventually } from "./eventually.ts";
import { type FakeS3, startFakeS3 } from "./fake-s3.ts";
import { ManualClock } from "./manual-clock.ts";

export const METRICS_PATH = "/minio/v2/metrics/node";
export const CACHE_MS = 60_000;

/** How the service answers a scrape. */
export type MetricsAnswer = (response: ServerResponse, token: string | undefined) => unknown;

export interface MetricsService {
  readonly fake: FakeS3;
  /** What the next scrapes are answered with. */
  answer: MetricsAnswer;
  /** Scrapes so far. */
  scrapes: number;
}

/** A metrics text with drives of these used and free bytes, and these requests under way and waiting. */
export function metricsText(
  drives: readonly (readonly [usedBytes: number, freeBytes: number])[],
  requests: { readonly inflight?: readonly number[]; readonly waiting?: number } = {},
): string {
  const { inflight = [], waiting = 0 } = requests;
  const lines = drives.flatMap(([used, free], index) => [
    `minio_node_drive_total_bytes{drive="/d${index}",server="a"} ${used + free}`,
    `minio_node_drive_free_bytes{drive="/d${index}",server="a"} ${free}`,
  ]);
  const calls = inflight.map((count, index) => `minio_s3_requests_inflight_total{api="api${index}"} ${count}`);
  return [...lines, ...calls, `minio_s3_requests_waiting_total{server="a"} ${waiting}`, ""].join("\n");
}

export function answerWith(text: string): MetricsAnswer {
  return (response) => response.end(text);
}

export async function startMetricsService(t: TestContext): Promise<MetricsService> {
  const fake = await startFakeS3();
  t.after(() => fake[Symbol.asyncDispose]());
  fake.buckets.set("bucket", new Map());
  const service: MetricsService = { fake, answer: answerWith(metricsText([[0, 100]])), scrapes: 0 };
  fake.intercept = (call, response) => {
    if (`/${call.bucket}/${call.key}` !== METRICS_PATH) return false;
    service.scrapes += 1;
    service.answer(response, call.headers.authorization);
    return true;
  };
  return service;
}

export interface WatchedHandle {
  readonly handle: LoadedNodeHandle;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
  /** Level and message of every line about the node's figures. */
  readonly logged: string[];
  /** Lets a cache period pass, has the metrics read again and waits until what that brought is as the check wants it. */
  nextReading(check: () => void | Promise<void>): Promise<void>;
  /** As above, for the reading that follows on the opening. */
  firstReading(check: () => void | Promise<void>): Promise<void>;
  /** Waits for what needs no time to pass. */
  until(check: () => void | Promise<void>): Promise<void>;
}

/** The handle that a gateway would have of the service's node, opened, with time that stands still. */
export async function openWatchedHandle(
  t: TestContext,
  service: MetricsService,
  { token }: { readonly token?: string } = {},
): Promise<WatchedHandle> {
  const clock = new ManualClock();
  const metrics = createMetrics({ version: "test", processMetrics: false });
  const logged: string[] = [];
  const line = (level: string) => (facts: object, message: string) =>
    void logged.push(`${level} ${message} ${JSON.stringify(facts)}`);
  const logger = { info: line("info"), warn: line("warn"), error: line("error") };
  const keys = {
    accessKey: "access",
    secretKey: new Secret("the-secret"),
    ...(token === undefined ? {} : { metricsToken: new Secret(token) }),
  };
  const storage = {
    read: { hedgeDelayMs: 250, stallTimeoutMs: 10_000 },
    write: { stallTimeoutMs: 10_000 },
    metrics: { cacheMs: CACHE_MS },
  };
  const handle = openNodeHandle(
    {
      clusterId: CONTRACT_CLUSTER_ID,
      config: { storage } as unknown as Pick<Config, "storage">,
      secrets: { coordinator: { server: {}, sentinels: {} }, nodes: new Map([["node", keys]]) },
      metrics,
      clock,
      random: { ...seededRandom(1), float: () => 0 },
      logger: logger as unknown as Logger,
    },
    {
      kind: "s3",
      name: "node",
      domain: "a",
      weight: 100,
      enabled: true,
      physicalStorageId: "node",
      host: "localhost",
      diskType: "unknown",
      endpoint: service.fake.endpoint,
      bucket: "bucket",
      region: "us-east-1",
      metricsPath: METRICS_PATH,
    },
    true,
  );
  t.after(() => handle.node.close());
  await handle.node.probe("reach");
  const until = (check: () => void | Promise<void>): Promise<void> =>
    eventually("the metrics are read", { timeoutMs: 10_000, intervalMs: 5 }, check);
  return {
    handle,
    clock,
    metrics,
    logged,
    until,
    async firstReading(check) {
      clock.advance(0);
      await until(check);
    },
    async nextReading(check) {
      const before = service.scrapes;
      clock.advance(CACHE_MS);
      handle.figures();
      await until(async () => {
        if (service.scrapes === before) throw new Error("not asked yet");
        await check();
      });
    },
  };
}
