/** The `bulkhead` command: what can be typed, and who does it. */
import { Command, CommanderError } from "commander";
import { type Clock, keepAlive } from "../shared/clock.ts";
import { type AdminAccess, AdminClient } from "./admin-client.ts";
import { acceptRebuild, makeSnapshot, showCatalog, verifyCatalog } from "./catalog-commands.ts";
import { locateObject, type Output, showDomains, showNodes } from "./commands.ts";
import { addDirectCommands } from "./direct-commands.ts";
import { CliError, EXIT, type ExitCode } from "./errors.ts";
import { type EventOptions, rejoinNode, showEvents } from "./event-command.ts";
import { addJobCommands } from "./job-program.ts";
import { addPromotionCommands } from "./promotion-command.ts";
import { type ProveOptions, prove, withProveOptions } from "./prove/prove-command.ts";
import { addRepairCommands } from "./repair-command.ts";
import { showScrub } from "./scrub-command.ts";
import { type StatusOptions, showStatus, withStatusOptions } from "./status/status-command.ts";
import type { Terminal } from "./status/terminal.ts";
import { formatJson } from "./text.ts";
import { addTopologyCommands } from "./topology-commands.ts";

/** What is known of a configuration; the command line does not read one itself. */
export type ConfigReport =
  | {
      readonly sound: true;
      /** The admin API of a gateway with this configuration, on this machine. */
      readonly adminUrl: string;
      readonly apiKey?: string;
      readonly apiKeyFile: string;
    }
  | {
      readonly sound: false;
      readonly problems: readonly unknown[];
      /** The problems, a line each. */
      readonly lines: readonly string[];
    };

export interface CliDependencies {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Runs the gateway until it is told to stop. */
  readonly serve: (configFile: string | undefined) => Promise<ExitCode>;
  /** Makes the catalog again from the nodes, telling of its progress on standard error. */
  readonly rebuildCatalog: (configFile: string | undefined, options: RebuildOptions) => Promise<ExitCode>;
  readonly checkConfig: (configFile: string | undefined) => ConfigReport;
  readonly clock: Clock;
  /** Where `stdout` leads. */
  readonly terminal: Terminal;
  /** Whether standard error is a terminal, on which a line can be replaced. */
  readonly errorsOnTerminal?: boolean;
  /** The text of a file, without the newline at its end. @throws where it cannot be read */
  readonly readFile: (path: string) => string;
}

export interface RebuildOptions {
  readonly acceptUnseen: boolean;
  readonly newClusterKey: boolean;
  readonly json: boolean;
}

const HELP_END = `
Commands other than serve, config check and catalog rebuild ask the admin API of a running gateway: the one that --admin-url or
BULKHEAD_ADMIN_URL names, else the one of this configuration on this machine. Its key is taken from
BULKHEAD_ADMIN_API_KEY or BULKHEAD_ADMIN_API_KEY_FILE, else from the data folder.

Exit codes: 0 success; 1 the command failed; 2 wrong usage; 3 the admin API does not answer; 4 it refuses the key.`;

/** Used where the configuration cannot tell where the gateway of this machine is. */
const DEFAULT_ADMIN_URL = "http://127.0.0.1:9071";

/** Runs a command line (without the program's name) and returns the exit code; tells errors by `stderr`. */
export async function runCli(args: readonly string[], dependencies: CliDependencies): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = buildProgram(dependencies, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has told the user by then; help that was asked for ends with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof CliError)) throw error;
    if (error.message !== "") dependencies.stderr(`bulkhead: ${error.message}\n`);
    return error.exitCode;
  }
}

interface AdminOptions {
  readonly config?: string;
  readonly adminUrl?: string;
  readonly json?: boolean;
}

function buildProgram(dependencies: CliDependencies, finish: (code: ExitCode) => void): Command {
  const program = new Command("bulkhead")
    .description("S3-compatible object gateway that keeps every object in several fault domains")
    .version(dependencies.version)
    .exitOverride()
    .configureOutput({ writeOut: dependencies.stdout, writeErr: dependencies.stderr })
    .showHelpAfterError("(bulkhead --help lists the commands)")
    .addHelpText("after", HELP_END);

  withConfig(program.command("serve"))
    .description("run the gateway")
    .action(async ({ config }: AdminOptions) => finish(await dependencies.serve(config)));

  const config = program.command("config").description("look at the configuration and change what is live of it");
  withJson(withConfig(config.command("check")))
    .description("say everything that is wrong with the configuration")
    .action((options: AdminOptions) => finish(checkConfig(options, dependencies)));

  const catalog = program.command("catalog").description("look after the catalog");
  withJson(withConfig(catalog.command("rebuild")))
    .description("make the catalog again from its journal on the nodes; no gateway may run")
    .option("--accept-unseen", "also where too few domains answer to see all that was acknowledged")
    .option("--new-cluster-key", "the key that signs the nodes' identities is lost: take their word and sign them anew")
    .action(async ({ config, ...options }: AdminOptions & Partial<RebuildOptions>) => {
      const { acceptUnseen = false, newClusterKey = false, json = false } = options;
      finish(await dependencies.rebuildCatalog(config, { acceptUnseen, newClusterKey, json }));
    });

  const asking = (command: Command, show: (admin: AdminClient, args: readonly string[]) => Promise<Output>): Command =>
    withJson(withConfig(command))
      .option("--admin-url <url>", "admin API to ask")
      .action(async () => {
        // A command above takes what it knows itself, wherever it stands.
        const options = command.optsWithGlobals<AdminOptions>();
        const admin = new AdminClient(findAdmin(options, dependencies));
        const { json, text, failed = false, printed = false } = await show(admin, command.args);
        if (!printed) dependencies.stdout(options.json === true ? formatJson(json) : text);
        if (failed) finish(EXIT.failed);
      });
  const { clock, terminal, stdout: print } = dependencies;
  const status = withStatusOptions(program.command("status"));
  asking(status, (admin) => showStatus(admin, { options: status.opts<StatusOptions>(), clock, terminal, print }));
  const nodes = asking(program.command("nodes").description("the storage nodes"), showNodes);
  const domains = asking(program.command("domains").description("the fault domains"), showDomains);
  addTopologyCommands({ nodes, domains, config }, asking, dependencies);
  asking(nodes.command("rejoin <name>").description("take a decommissioned node back"), (admin, [name = ""]) =>
    rejoinNode(admin, name),
  );
  const events = asking(program.command("events").description("what happened to nodes and domains"), async (admin) => {
    using _waiting = keepAlive();
    const options = events.optsWithGlobals<EventOptions>();
    return await showEvents(admin, options, { clock: dependencies.clock, tell: dependencies.stdout });
  });
  events
    .option("--follow", "go on telling new ones")
    .option("--limit <number>", "how many of the newest, up to 1000")
    .option("--after <number>", "those after this one");
  addPromotionCommands(domains, asking);
  const watching = { clock, tell: dependencies.stderr, terminal: dependencies.errorsOnTerminal === true };
  addJobCommands({ program, nodes, domains, watching, asking });
  asking(catalog.command("status").description("how the catalog's journal on the nodes is"), showCatalog);
  asking(
    catalog.command("accept").description("give up what a rebuild could not see: orphans are collected again"),
    acceptRebuild,
  );
  asking(catalog.command("snapshot").description("write a snapshot of the catalog to the nodes now"), makeSnapshot);
  asking(
    catalog.command("verify").description("compare the catalog with its journal and with the nodes, while it is used"),
    async (admin) => {
      using _waiting = keepAlive();
      return await verifyCatalog(admin, { clock: dependencies.clock, tell: dependencies.stderr });
    },
  );
  const scrub = asking(
    program.command("scrub").description("how far every copy was read and found right; what else is on the nodes"),
    (admin) => showScrub(admin, scrub.opts<{ readonly node?: string; readonly start?: boolean }>()),
  );
  scrub.option("--node <name>", "only this node").option("--start", "compare and read every copy, beginning now");
  addRepairCommands(program, asking);
  const objects = program.command("objects").description("look at objects");
  asking(
    objects.command("locate <bucket> <key>").description("where the copies of an object are"),
    (admin, [bucket = "", key = ""]) => locateObject(admin, bucket, key),
  );
  addDirectCommands(program, asking);
  const proving = withProveOptions(program.command("prove [target]"));
  asking(proving, (admin, [target]) => prove(admin, target, { options: proving.opts<ProveOptions>(), clock, print }));
  return program;
}

function withConfig(command: Command): Command {
  return command.option("--config <file>", "configuration file (default: BULKHEAD_CONFIG)");
}

function withJson(command: Command): Command {
  return command.option("--json", "print JSON");
}

function checkConfig({ config, json }: AdminOptions, { checkConfig: check, stdout }: CliDependencies): ExitCode {
  const report = check(config);
  if (json === true) {
    stdout(formatJson({ ok: report.sound, problems: report.sound ? [] : report.problems }));
  } else if (report.sound) {
    stdout("The configuration is sound.\n");
  } else {
    stdout(report.lines.map((line) => `${line}\n`).join(""));
  }
  return report.sound ? EXIT.ok : EXIT.failed;
}

/** Which admin API to ask, and with which key. */
function findAdmin(options: AdminOptions, { env, checkConfig: check, readFile }: CliDependencies): AdminAccess {
  const report = check(options.config);
  const localUrl = report.sound ? report.adminUrl : DEFAULT_ADMIN_URL;
  const url = adminUrl(options.adminUrl ?? nonEmpty(env["BULKHEAD_ADMIN_URL"]) ?? localUrl);
  const key = nonEmpty(env["BULKHEAD_ADMIN_API_KEY"]);
  if (key !== undefined) return { url, apiKey: key, apiKeyOrigin: "BULKHEAD_ADMIN_API_KEY" };
  const keyFile = nonEmpty(env["BULKHEAD_ADMIN_API_KEY_FILE"]);
  if (keyFile !== undefined) return { url, ...keyFromFile(keyFile, readFile) };
  // The key of this machine's gateway is for that gateway alone.
  if (url !== localUrl)
    return { url, apiKey: undefined, apiKeyOrigin: "the key of this machine is not sent elsewhere" };
  if (!report.sound)
    return { url, apiKey: undefined, apiKeyOrigin: "the configuration has problems: bulkhead config check" };
  if (report.apiKey !== undefined) return { url, apiKey: report.apiKey, apiKeyOrigin: "the configuration" };
  return { url, ...keyFromFile(report.apiKeyFile, readFile) };
}

function keyFromFile(path: string, readFile: (path: string) => string): Pick<AdminAccess, "apiKey" | "apiKeyOrigin"> {
  try {
    return { apiKey: readFile(path), apiKeyOrigin: path };
  } catch {
    return { apiKey: undefined, apiKeyOrigin: `${path} cannot be read` };
  }
}

function adminUrl(written: string): string {
  if (/^https?:\/\/[^/?#@\s]+\/?$/.test(written) && URL.canParse(written)) return new URL(written).origin;
  throw new CliError(EXIT.usage, `the admin URL must be http:// or https:// with a host and maybe a port: ${written}`);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
