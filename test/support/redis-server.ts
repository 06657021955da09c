/** A redis-server process for tests: with a password, TLS, replicas and sentinels where they are asked for. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { eventually } from "./eventually.ts";
import { freezeProcess } from "./freeze.ts";
import { freePorts } from "./ports.ts";
import { findProgram, succeed } from "./programs.ts";

const PROGRAM = "redis-server";
const COMMAND_LINE = "redis-cli";
const READY_TIMEOUT_MS = 20_000;
const OUTPUT_CHARS_MAX = 65_536;

export interface RedisServerOptions {
  readonly password?: string;
  /** Speaks TLS only, with this certificate. */
  readonly certificates?: Certificates;
  /** The port of the server that it is a replica of. */
  readonly replicaOf?: number;
  /** What it watches as a sentinel, which it then is. */
  readonly sentinelOf?: { readonly master: string; readonly port: number; readonly quorum: number };
}

/** A sentence for a skip where there is no Redis, else undefined. */
export function missingRedis(): string | undefined {
  const missing = [PROGRAM, COMMAND_LINE].filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `no Redis: not on the PATH: ${missing.join(", ")}`;
}

/** Servers that are not to outlive the tests, whatever ends them. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a server that keeps nothing over its end, and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-redis-"));
  const [port = 0] = await freePorts(1);
  const server = new RedisServer({ folder, port }, options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #options: RedisServerOptions;
  #process: ChildProcess | undefined;
  #output = "";

  constructor({ folder, port }: { readonly folder: string; readonly port: number }, options: RedisServerOptions) {
    this.#folder = folder;
    this.port = port;
    this.#options = options;
  }

  get output(): string {
    return this.#output;
  }

  /** After `kill`: at the same port, empty. */
  async start(): Promise<void> {
    const file = join(this.#folder, "redis.conf");
    await writeFile(file, this.#configuration());
    const sentinel = this.#options.sentinelOf === undefined ? [] : ["--sentinel"];
    const child = spawn(PROGRAM, [file, ...sentinel], { stdio: ["ignore", "pipe", "pipe"] });
    const keep = (text: Buffer): void => {
      this.#output = (this.#output + text.toString()).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    running.add(child);
    child.once("exit", () => running.delete(child));
    await once(child, "spawn");
    this.#process = child;
    await eventually(`Redis at port ${this.port} listens`, { timeoutMs: READY_TIMEOUT_MS, intervalMs: 20 }, () =>
      listens(this.port),
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; it printed:\n${this.#output}`, { cause: error });
    });
  }

  /** Ends it at once; what it kept is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    // A frozen process takes this signal too.
    child.kill("SIGKILL");
    await ended;
  }

  /** It answers no more, and its connections stay open. */
  async freeze(): Promise<void> {
    const pid = this.#process?.pid;
    if (pid !== undefined) await freezeProcess(pid);
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** What redis-cli prints for a command. */
  async cli(...command: string[]): Promise<string> {
    const { password, certificates } = this.#options;
    const auth = password === undefined ? [] : ["--no-auth-warning", "-a", password];
    const tls = certificates === undefined ? [] : ["--tls", "--cacert", certificates.caFile];
    return (await succeed(COMMAND_LINE, ["-p", String(this.port), ...auth, ...tls, ...command])).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #configuration(): string {
    const { password, certificates, replicaOf, sentinelOf } = this.#options;
    const lines = [
      "bind 127.0.0.1",
      `dir ${this.#folder}`,
      ...(certificates === undefined
        ? [`port ${this.port}`]
        : [
            "port 0",
            `tls-port ${this.port}`,
            `tls-cert-file ${certificates.certificateFile}`,
            `tls-key-file ${certificates.keyFile}`,
            `tls-ca-cert-file ${certificates.caFile}`,
            "tls-auth-clients no",
          ]),
      ...(sentinelOf === undefined
        ? ['save ""', "appendonly no", "repl-diskless-sync-delay 0"]
        : [
            `sentinel monitor ${sentinelOf.master} 127.0.0.1 ${sentinelOf.port} ${sentinelOf.quorum}`,
            `sentinel down-after-milliseconds ${sentinelOf.master} 1000`,
            `sentinel failover-timeout ${sentinelOf.master} 5000`,
          ]),
      ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
      ...(replicaOf === undefined ? [] : [`replicaof 127.0.0.1 ${replicaOf}`]),
    ];
    return `${lines.join("\n")}\n`;
  }
}

function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
