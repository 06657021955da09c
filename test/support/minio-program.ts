import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { freezeProcess } from "./freeze.ts";
import type { MinioHost, MinioHostOptions } from "./minio-host.ts";
import { findProgram } from "./programs.ts";

const OUTPUT_CHARS_MAX = 65_536;

/** On the PATH, or where `go install` puts it. */
export function findMinioProgram(): string | undefined {
  const onPath = findProgram("minio");
  if (onPath !== undefined) return onPath;
  const folder = process.env["GOBIN"] ?? join(process.env["GOPATH"] ?? join(homedir(), "go"), "bin");
  const file = join(folder, "minio");
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    return undefined;
  }
}

/** Servers that are not to outlive the tests, whatever ends them. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function createMinioProgram(program: string, options: MinioHostOptions): MinioHost {
  const { port, dataDir, drives = [dataDir], certificatesDir, env, network } = options;
  const { command = [], address = "127.0.0.1" } = network ?? {};
  const args = ["server", "--address", `${address}:${port}`, ...drives];
  if (certificatesDir !== undefined) args.push("--certs-dir", certificatesDir);
  let child: ChildProcess | undefined;
  const theChild = (): ChildProcess => {
    if (child === undefined) throw new Error("the MinIO server does not run");
    return child;
  };
  const kill = async (): Promise<void> => {
    if (child === undefined) return;
    const ended = once(child, "exit");
    // A frozen process takes this signal too.
    child.kill("SIGKILL");
    await ended;
  };
  return {
    get pid() {
      return child?.pid;
    },
    async start() {
      if (child !== undefined) throw new Error("the MinIO server runs already");
      child = await spawnServer([...command, program, ...args], env, () => {
        child = undefined;
      });
    },
    kill,
    freeze: async () => {
      const { pid } = theChild();
      if (pid !== undefined) await freezeProcess(pid);
    },
    thaw: async () => void theChild().kill("SIGCONT"),
    remove: kill,
  };
}

async function spawnServer(
  [program = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  onExit: () => void,
): Promise<ChildProcess> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (text: Buffer): void => {
    output = (output + text.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  running.add(child);
  child.once("exit", (code) => {
    running.delete(child);
    onExit();
    // One that ends by itself did not like something; the test that wanted it should say what.
    if (code !== null && code !== 0) process.stderr.write(`MinIO ended with ${code}:\n${output}\n`);
  });
  await once(child, "spawn");
  return child;
}
