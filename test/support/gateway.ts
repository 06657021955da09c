/** A gateway as a process of its own, started as a user starts it. Black-box: nothing here imports src/. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { eventually } from "./eventually.ts";
import { freePorts } from "./ports.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** The command line program of this clone. */
export const BULKHEAD = join(ROOT, "bin/bulkhead");
/** Generous: a machine may have much else to do. */
const READY_TIMEOUT_MS = 90_000;
/** Longer than the gateway's own drain. */
const STOP_TIMEOUT_MS = 60_000;
const ADMIN_TIMEOUT_MS = 30_000;
const LOG_CHARS_MAX = 256 * 1024;

export interface GatewaySettings {
  /** What starts it, in the project's folder; by default the program itself. */
  readonly command?: readonly string[];
  /** The YAML file's content. JSON is YAML too, so an object is written as it is. */
  readonly config?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** A data folder that is kept; without one a fresh folder is made and removed again. */
  readonly dataDir?: string;
}

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** What a gateway that did not stay up left behind. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** Starts a gateway and waits until it is ready; rejects with its output where it ends or never gets ready. */
export async function startGateway(settings: GatewaySettings = {}): Promise<Gateway> {
  const launch = await prepareLaunch(settings);
  const gateway = new Gateway(launch);
  try {
    await gateway.start();
    return gateway;
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts a gateway that is expected to refuse, and returns how it ended. It is killed where it does not end. */
export async function startRefused(settings: GatewaySettings): Promise<Exit> {
  const launch = await prepareLaunch(settings);
  const gateway = new Gateway(launch);
  try {
    return await gateway.runToItsEnd();
  } finally {
    await gateway[Symbol.asyncDispose]();
  }
}

/** Gateways that are not to outlive the tests, whatever ends them. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) signalGroup(child, "SIGKILL");
});

interface Launch {
  readonly dataDir: string;
  /** Folders to remove at the end. */
  readonly folders: readonly string[];
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly s3Port: number;
  readonly adminPort: number;
}

async function prepareLaunch(settings: GatewaySettings): Promise<Launch> {
  const folder = await mkdtemp(join(tmpdir(), "bulkhead-gateway-"));
  const dataDir = settings.dataDir ?? join(folder, "data");
  const [s3Port = 0, adminPort = 0] = await freePorts(2);
  const command = [...(settings.command ?? ["sh", BULKHEAD, "serve"])];
  if (settings.config !== undefined) {
    const file = join(folder, "bulkhead.yaml");
    await writeFile(file, JSON.stringify(settings.config, null, 2));
    command.push("--config", file);
  }
  const env = {
    // Nothing of the developer's own BULKHEAD_ settings reaches a gateway under test.
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BULKHEAD_"))),
    BULKHEAD_DATA_DIR: dataDir,
    BULKHEAD_S3_LISTEN: `127.0.0.1:${s3Port}`,
    BULKHEAD_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
    ...settings.env,
  } as Record<string, string>;
  return { dataDir, folders: [folder], command, env, s3Port, adminPort };
}

export class Gateway implements AsyncDisposable {
  readonly s3Url: string;
  readonly adminUrl: string;
  readonly dataDir: string;
  readonly #launch: Launch;
  #process: ChildProcess | undefined;
  #output = "";
  #keys: (Credentials & { readonly admin: string }) | undefined;

  constructor(launch: Launch) {
    this.#launch = launch;
    this.dataDir = launch.dataDir;
    this.s3Url = `http://127.0.0.1:${launch.s3Port}`;
    this.adminUrl = `http://127.0.0.1:${launch.adminPort}`;
  }

  /** Both streams of every process so far, the end of it where it is long. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("the gateway is not running");
    return pid;
  }

  /** The root key, as its owner finds it in the data folder. */
  get credentials(): Credentials {
    if (this.#keys === undefined) throw new Error("the gateway has not been ready yet");
    return this.#keys;
  }

  /** Starts the process and waits until /readyz answers 200. */
  async start(): Promise<void> {
    const child = this.#spawn();
    await eventually("the gateway is ready", { timeoutMs: READY_TIMEOUT_MS, intervalMs: 50 }, async () => {
      if (hasEnded(child)) return;
      const answer = await fetch(`${this.adminUrl}/readyz`);
      await answer.body?.cancel();
      if (answer.status !== 200) throw new Error(`/readyz answered ${answer.status}`);
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; it printed:\n${this.#output}`, { cause: error });
    });
    if (hasEnded(child)) throw new Error(`the gateway ended instead of serving; it printed:\n${this.#output}`);
    this.#keys = await this.#readKeys();
  }

  /** Waits for the process's own end, at most as long as a start may take. */
  async runToItsEnd(): Promise<Exit> {
    const child = this.#spawn();
    await ended(child, "close", AbortSignal.timeout(READY_TIMEOUT_MS)).catch(() => undefined);
    return { code: child.exitCode, signal: child.signalCode, output: this.#output };
  }

  /** Ends the gateway, whatever processes it has, as a power cut would end it. */
  async kill9(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    signalGroup(child, "SIGKILL");
    await ended(child, "exit");
    this.#process = undefined;
  }

  /** Ends the process as an operator does, and returns its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    child.kill("SIGTERM");
    await ended(child, "exit", AbortSignal.timeout(STOP_TIMEOUT_MS)).catch(() => {
      throw new Error(`the gateway did not stop; it printed:\n${this.#output}`);
    });
    if (signalGroup(child, 0)) {
      throw new Error(`the gateway left processes behind when it stopped; it printed:\n${this.#output}`);
    }
    this.#process = undefined;
    return child.exitCode;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** GET of the admin API: the parsed body of a 200. Anything else throws, with the body in the message. */
  async admin(path: string): Promise<unknown> {
    return this.#callAdmin("GET", path);
  }

  /** POST of JSON to the admin API: the parsed body of a 2xx. Anything else throws, with the body in the message. */
  async adminPost(path: string, body: unknown): Promise<unknown> {
    return this.#callAdmin("POST", path, JSON.stringify(body));
  }

  async #callAdmin(method: string, path: string, body?: string): Promise<unknown> {
    if (this.#keys === undefined) throw new Error("the gateway has not been ready yet");
    const answer = await fetch(`${this.adminUrl}${path}`, {
      method,
      headers: { "x-api-key": this.#keys.admin, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(ADMIN_TIMEOUT_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text.slice(0, 500)}`);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9();
    for (const folder of this.#launch.folders) await rm(folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    if (this.#process !== undefined && !hasEnded(this.#process)) throw new Error("the gateway is running already");
    const [program = "", ...args] = this.#launch.command;
    const child = spawn(program, args, {
      cwd: ROOT,
      env: this.#launch.env,
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own, so that all of it can be killed.
      detached: true,
    });
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-LOG_CHARS_MAX);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    running.add(child);
    child.once("exit", () => running.delete(child));
    this.#process = child;
    return child;
  }

  async #readKeys(): Promise<Credentials & { readonly admin: string }> {
    const { env, dataDir } = this.#launch;
    const admin = env["BULKHEAD_ADMIN_API_KEY"] ?? (await readFile(join(dataDir, "keys/admin-api-key"), "utf8")).trim();
    const accessKey = env["BULKHEAD_ROOT_ACCESS_KEY"];
    const secretKey = env["BULKHEAD_ROOT_SECRET_KEY"];
    if (accessKey !== undefined && secretKey !== undefined) return { accessKey, secretKey, admin };
    const root = JSON.parse(await readFile(join(dataDir, "keys/root.json"), "utf8")) as Credentials;
    return { accessKey: root.accessKey, secretKey: root.secretKey, admin };
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Signals all processes of a gateway; false where there is none any more. */
function signalGroup(leader: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (leader.pid === undefined) return false;
  try {
    return process.kill(-leader.pid, signal);
  } catch {
    return false;
  }
}

/** Resolves when the process has ended (`exit`), or has and its streams are read to their end as well (`close`). */
async function ended(child: ChildProcess, event: "exit" | "close", signal?: AbortSignal): Promise<void> {
  if (event === "exit" && hasEnded(child)) return;
  await once(child, event, signal === undefined ? {} : { signal });
}
