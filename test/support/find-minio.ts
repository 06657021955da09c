/**
 * Real MinIO servers for tests, found in this order:
 *
 * 1. `BULKHEAD_TEST_MINIO_URL`: addresses of servers that run already, with credentials, separated by commas:
 *    `http://ACCESS:SECRET@HOST:PORT`. They cannot be stopped or looked into from here (`controllable` is false).
 * 2. testcontainers, where a Docker engine answers; the image is `BULKHEAD_TEST_MINIO_IMAGE` (default minio/minio).
 * 3. A `minio` program on the PATH or where `go install` puts it.
 *
 * `BULKHEAD_TEST_SERVERS_HOW` (`environment`, `testcontainers` or `program`) allows only that one.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificates, makeCertificates, missingForCertificates } from "./certificates.ts";
import { eventually } from "./eventually.ts";
import { containersUnavailable, createMinioContainer } from "./minio-container.ts";
import type { MinioHost, MinioHostOptions, ServerNetwork } from "./minio-host.ts";
import { createMinioProgram, findMinioProgram } from "./minio-program.ts";
import { freePorts } from "./ports.ts";

export type ServersHow = "environment" | "testcontainers" | "program";

export interface MinioServer {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** PEM of the authority behind its certificate, where it speaks TLS. */
  readonly ca?: string;
  /** The folder on this machine that is the server's drive; object `k` of bucket `b` lies under `b/k/`. */
  readonly dataDir?: string;
  /** Of its process, where it is one of ours and runs. */
  readonly pid?: number | undefined;
  /** Whether the calls below work; else each throws. */
  readonly controllable: boolean;
  /** Ends it at once, as `kill -9` does. */
  kill(): Promise<void>;
  /** Stops it from answering, its connections left open, as a machine that hangs. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Starts it again after `kill`, at the same address over the same drive, and waits until it is ready. */
  restart(): Promise<void>;
  /** Empties the drive of a server that was killed. */
  wipe(): Promise<void>;
  /** Ends it and removes what it kept. */
  close(): Promise<void>;
}

export interface MinioOptions {
  readonly count: number;
  readonly tls?: boolean;
  /** Folders that are the drives of the one server that is wanted, in place of one of its own. */
  readonly drives?: readonly string[];
  /** Added to the servers' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Only programs can run in it. */
  readonly network?: ServerNetwork;
}

export interface MinioServers {
  readonly servers: readonly MinioServer[];
  readonly how: ServersHow;
}

export interface Skip {
  /** Why there are no servers, for the test's skip. */
  readonly skip: string;
}

const ACCESS_KEY = "bulkhead";
const SECRET_KEY = "bulkhead-test-secret";
const ENVIRONMENT = {
  MINIO_ROOT_USER: ACCESS_KEY,
  MINIO_ROOT_PASSWORD: SECRET_KEY,
  MINIO_BROWSER: "off",
  MINIO_UPDATE: "off",
  // Lets a server use a folder of the root drive, as test machines have it.
  MINIO_CI_CD: "on",
};
const READY_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 2_000;

/** Starts `count` servers with empty drives and waits until they are ready. Close each. */
export async function startMinio(options: MinioOptions): Promise<MinioServers | Skip> {
  const allowed = process.env["BULKHEAD_TEST_SERVERS_HOW"];
  const reasons: string[] = [];
  for (const [how, start] of Object.entries(WAYS)) {
    if (allowed !== undefined && allowed !== how) continue;
    const found = await start(options);
    if (!("skip" in found)) return found;
    reasons.push(found.skip);
  }
  if (reasons.length === 0) reasons.push(`BULKHEAD_TEST_SERVERS_HOW knows no ${allowed}`);
  return { skip: `no MinIO server: ${reasons.join("; ")}` };
}

const WAYS: Readonly<Record<ServersHow, (options: MinioOptions) => Promise<MinioServers | Skip>>> = {
  environment: serversOfEnvironment,
  async testcontainers(options) {
    if (options.network !== undefined) return { skip: "containers have networks of their own" };
    const image = process.env["BULKHEAD_TEST_MINIO_IMAGE"] ?? "minio/minio";
    const skip = await containersUnavailable(image);
    if (skip !== undefined) return { skip };
    return startHosts("testcontainers", options, (host) => createMinioContainer(image, host));
  },
  async program(options) {
    const program = findMinioProgram();
    if (program === undefined) return { skip: "no program minio on the PATH or in Go's bin folder" };
    return startHosts("program", options, async (host) => createMinioProgram(program, host));
  },
};

async function serversOfEnvironment(options: MinioOptions): Promise<MinioServers | Skip> {
  const { count, tls, drives, env, network } = options;
  if ([drives, env, network].some((wish) => wish !== undefined))
    return { skip: "servers from the environment are as they are" };
  const addresses = (process.env["BULKHEAD_TEST_MINIO_URL"] ?? "").split(",").filter((text) => text !== "");
  const urls = addresses.map((text) => new URL(text)).filter((url) => (url.protocol === "https:") === (tls ?? false));
  if (urls.length < count) {
    return { skip: `BULKHEAD_TEST_MINIO_URL names ${urls.length} of the ${count} ${tls ? "TLS " : ""}servers wanted` };
  }
  const impossible = async (): Promise<void> => {
    throw new Error("a server from the environment cannot be controlled");
  };
  const servers = urls.slice(0, count).map((url): MinioServer => {
    const control = { kill: impossible, freeze: impossible, thaw: impossible, restart: impossible, wipe: impossible };
    return {
      endpoint: url.origin,
      accessKey: decodeURIComponent(url.username),
      secretKey: decodeURIComponent(url.password),
      controllable: false,
      ...control,
      close: async () => {},
    };
  });
  return { servers, how: "environment" };
}

async function startHosts(
  how: ServersHow,
  options: MinioOptions,
  create: (options: MinioHostOptions) => Promise<MinioHost>,
): Promise<MinioServers | Skip> {
  const { count, tls = false } = options;
  const noCertificates = tls ? missingForCertificates() : undefined;
  if (noCertificates !== undefined) return { skip: noCertificates };
  const started = await Promise.allSettled((await freePorts(count)).map((port) => startHost(port, options, create)));
  const servers = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = started.find((result) => result.status === "rejected");
  if (failed === undefined) return { servers, how };
  for (const server of servers) await server.close();
  throw failed.reason;
}

async function startHost(
  port: number,
  { tls = false, drives, env = {}, network }: MinioOptions,
  create: (options: MinioHostOptions) => Promise<MinioHost>,
): Promise<MinioServer> {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-minio-"));
  const dataDir = join(folder, "data");
  const certificatesDir = join(folder, "certificates");
  await mkdir(dataDir);
  await mkdir(certificatesDir);
  const certificates: Certificates | undefined = tls ? await makeCertificates(certificatesDir) : undefined;
  const endpoint = `${tls ? "https" : "http"}://${network?.address ?? "127.0.0.1"}:${port}`;
  const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true });
  let host: MinioHost;
  try {
    const all = { ...ENVIRONMENT, ...env };
    host = await create({ port, network, dataDir, drives, env: all, ...(tls ? { certificatesDir } : {}) });
  } catch (error) {
    await removeFolder();
    throw error;
  }
  const inOrder = queue();
  const start = inOrder(async () => {
    await host.start();
    await untilReady(endpoint, certificates?.ca);
  });
  const close = inOrder(async () => {
    await host.remove();
    await removeFolder();
  });
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    endpoint,
    accessKey: ACCESS_KEY,
    secretKey: SECRET_KEY,
    dataDir,
    controllable: true,
    get pid() {
      return host.pid;
    },
    kill: inOrder(() => host.kill()),
    freeze: inOrder(() => host.freeze()),
    thaw: inOrder(() => host.thaw()),
    restart: start,
    wipe: inOrder(async () => {
      for (const entry of await readdir(dataDir)) await rm(join(dataDir, entry), { recursive: true, force: true });
    }),
    close,
    ...(certificates === undefined ? {} : { ca: certificates.ca }),
  };
}

/** Does one thing after the other: a test may see a server die before the `kill` that did it has returned. */
function queue(): (work: () => Promise<void>) => () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => () => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

/** Ready is when it serves reads and writes, not when it listens. */
async function untilReady(endpoint: string, ca: string | undefined): Promise<void> {
  await eventually(`MinIO at ${endpoint} is ready`, { timeoutMs: READY_TIMEOUT_MS }, async () => {
    const status = await statusOf(`${endpoint}/minio/health/cluster`, ca);
    if (status !== 200) throw new Error(`its health answers ${status}`);
  });
}

function statusOf(url: string, ca: string | undefined): Promise<number | undefined> {
  const request = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, { timeout: ANSWER_TIMEOUT_MS, agent: false, ...(ca === undefined ? {} : { ca }) });
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer")));
    sent.on("error", reject);
    sent.end();
  });
}
