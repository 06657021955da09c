/** The `bulkhead` program: reads the configuration, composes, and runs until a signal. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { EXIT, type ExitCode } from "./cli/errors.ts";
import { type CliDependencies, type ConfigReport, type RebuildOptions, runCli } from "./cli/run.ts";
import type { Gateway } from "./compose/gateway.ts";
import { localGateway, readConfig } from "./config/inspect-config.ts";
import { formatProblem } from "./config/problems.ts";
import { withEnvironmentFile } from "./config/read-sources.ts";
import { keepAlive, systemClock } from "./shared/clock.ts";
import { toError } from "./shared/errors.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const env = withEnvironmentFile(process.env);

const dependencies: CliDependencies = {
  version,
  env,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  serve,
  rebuildCatalog,
  checkConfig,
  clock: systemClock,
  terminal: process.stderr.isTTY === true,
  readFile: (path) => readFileSync(path, "utf8").trimEnd(),
};

process.exitCode = await runCli(process.argv.slice(2), dependencies);

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
    gateway = await startGateway({ ...loaded, version });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`bulkhead: ${error.message}\n`);
    return EXIT.failed;
  }
  process.stderr.write(howToUse(gateway));
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
