/** The `bulkhead` program: reads the configuration, composes, and runs until a signal. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { CliError, EXIT, type ExitCode } from "./cli/errors.ts";
import { type CliDependencies, type ConfigReport, type RebuildOptions, runCli } from "./cli/run.ts";
import type { Terminal } from "./cli/status/terminal.ts";
import type { Gateway } from "./compose/gateway.ts";
import { localGateway, readConfig } from "./config/inspect-config.ts";
import { formatProblem } from "./config/problems.ts";
import { withEnvironmentFile } from "./config/read-sources.ts";
import { keepAlive, systemClock } from "./shared/clock.ts";
import { systemErrorCode, toError } from "./shared/errors.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const env = withEnvironmentFile(process.env);

const dependencies: CliDependencies = {
  version,
  env,
  stdout: print,
  stderr: (text) => process.stderr.write(text),
  serve,
  rebuildCatalog,
  checkConfig,
  clock: systemClock,
  terminal: terminalOf(process.stdout),
  errorsOnTerminal: process.stderr.isTTY === true,
  readFile: (path) => readFileSync(path, "utf8").trimEnd(),
};

// Whoever reads the output of a command may have seen enough: `bulkhead prove | head`.
let outputClosed = false;
process.stdout.on("error", (error) => {
  if (systemErrorCode(error) !== "EPIPE") throw error;
  outputClosed = true;
});

process.exitCode = await runCli(process.argv.slice(2), dependencies);

/** @throws CliError, without a word, when nobody reads any more */
function print(text: string): void {
  if (outputClosed) throw new CliError(EXIT.failed, "");
  process.stdout.write(text);
}

function checkConfig(configFile: string | undefined): ConfigReport {
  const loaded = readConfig({ file: configFile, env });
  if ("problems" in loaded) {
    return { sound: false, problems: loaded.problems, lines: loaded.problems.map(formatProblem) };
  }
  return { sound: true, ...localGateway(loaded.config, loaded.secrets) };
}

async function serve(configFile: string | undefined): Promise<ExitCode> {
  const loaded = readConfig({ file: configFile, env });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) process.stderr.write(`bulkhead: ${formatProblem(problem)}\n`);
    return EXIT.failed;
  }
  // Only here, so that the commands that ask a running gateway do not load one.
  const [{ startGateway }, { StartError }] = await Promise.all([
    import("./compose/gateway.ts"),
    import("./compose/start-step.ts"),
  ]);
  using _running = keepAlive();
  const stopped = signalToStop();
  let gateway: Gateway;
  try {
    gateway = await startGateway({
      ...loaded,
      version,
      reread: () => readConfig({ file: configFile, env: withEnvironmentFile(process.env) }),
    });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`bulkhead: ${error.message}\n`);
    return EXIT.failed;
  }
  process.stderr.write(howToUse(gateway));
  process.on("SIGHUP", () => void reload(gateway));
  await stopped;
  await gateway[Symbol.asyncDispose]();
  return EXIT.ok;
}

async function rebuildCatalog(configFile: string | undefined, options: RebuildOptions): Promise<ExitCode> {
  const loaded = readConfig({ file: configFile, env });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) process.stderr.write(`bulkhead: ${formatProblem(problem)}\n`);
    return EXIT.failed;
  }
  const { runRebuild } = await import("./compose/run-rebuild.ts");
  using _running = keepAlive();
  return (await runRebuild({ ...loaded, ...options, version }, process)) ? EXIT.ok : EXIT.failed;
}

function terminalOf(stream: NodeJS.WriteStream): Terminal {
  return {
    interactive: stream.isTTY,
    // Knows NO_COLOR, FORCE_COLOR and what the terminal calls itself.
    colors: stream.isTTY && stream.hasColors(),
    size: () => (stream.isTTY && stream.columns > 0 ? { columns: stream.columns, rows: stream.rows } : undefined),
    onResize(changed) {
      stream.on("resize", changed);
      return () => void stream.off("resize", changed);
    },
    untilInterrupted() {
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
      for (const signal of signals) process.on(signal, abort);
      return Object.assign(controller.signal, {
        [Symbol.dispose]: () => signals.forEach((signal) => process.off(signal, abort)),
      });
    },
  };
}

/** What came of it is told, as nobody waits for an answer. */
async function reload(gateway: Gateway): Promise<void> {
  try {
    const { changed, needsRestart } = await gateway.reload();
    const later = needsRestart.length === 0 ? "" : `; taken over at the next start: ${needsRestart.join(", ")}`;
    process.stderr.write(`bulkhead: the configuration was read again, ${changed ? "" : "un"}changed${later}\n`);
  } catch (error) {
    process.stderr.write(`bulkhead: the configuration was not taken over: ${toError(error).message}\n`);
  }
}

/** Resolves at the first signal; a second one ends the process as it would any other. */
function signalToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
}

function howToUse({ s3Url, adminUrl, keys }: Gateway): string {
  const credentials =
    keys.awsCredentialsFile === undefined
      ? ""
      : `AWS_SHARED_CREDENTIALS_FILE=${quote(resolve(keys.awsCredentialsFile))} `;
  return [
    "",
    `Bulkhead serves S3 at ${s3Url}; its admin port is ${adminUrl}. Try it:`,
    "",
    `  ${credentials}aws --endpoint-url ${s3Url} s3 mb s3://my-bucket`,
    "",
    "",
  ].join("\n");
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

process.on("uncaughtExceptionMonitor", (error) => {
  process.stderr.write(`bulkhead: stopped by an unexpected error: ${toError(error).message}\n`);
});
