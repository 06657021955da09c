/** `bulkhead status`: the cluster on one screen, once or again and again. */
import type { Command } from "commander";
import { API_PATHS, clusterStatusSchema } from "../../admin/api-types.ts";
import type { Clock } from "../../shared/clock.ts";
import type { AdminClient } from "../admin-client.ts";
import type { Output } from "../commands.ts";
import { CliError, EXIT } from "../errors.ts";
import { renderStatus } from "./render.ts";
import { readStatus } from "./status-view.ts";
import type { Terminal } from "./terminal.ts";
import { watchStatus } from "./watch.ts";

const INTERVAL_S_DEFAULT = 2;
const INTERVAL_S_MAX = 3_600;

export interface StatusOptions {
  /** Seconds, or true without a number. */
  readonly watch?: string | true;
  readonly json?: boolean;
}

export function withStatusOptions(command: Command): Command {
  return command
    .description("how the cluster is, on one screen")
    .option("--watch [seconds]", `show it again every so many seconds (${INTERVAL_S_DEFAULT}), until Ctrl-C`);
}

/** @throws CliError */
export async function showStatus(
  admin: AdminClient,
  {
    options,
    clock,
    terminal,
    print,
  }: {
    readonly options: StatusOptions;
    readonly clock: Clock;
    readonly terminal: Terminal;
    readonly print: (text: string) => void;
  },
): Promise<Output> {
  if (options.watch !== undefined) {
    if (options.json === true) throw new CliError(EXIT.usage, "--watch and --json do not go together");
    await watchStatus(admin, { intervalMs: intervalMs(options.watch), clock, terminal, print });
    return { json: undefined, text: "", printed: true };
  }
  if (options.json === true) return { json: await admin.get(API_PATHS.status, clusterStatusSchema), text: "" };
  const view = await readStatus(admin);
  const width = terminal.interactive ? terminal.size()?.columns : undefined;
  const lines = renderStatus(view, { width, height: undefined, colors: terminal.colors, nowMs: clock.nowMs() });
  return { json: view.status, text: lines.map((line) => `${line}\n`).join("") };
}

function intervalMs(written: string | true): number {
  const seconds = written === true ? INTERVAL_S_DEFAULT : /^\d{1,4}$/.test(written) ? Number(written) : 0;
  if (seconds >= 1 && seconds <= INTERVAL_S_MAX) return seconds * 1000;
  throw new CliError(EXIT.usage, `--watch takes seconds from 1 to ${INTERVAL_S_MAX}, not ${String(written)}`);
}
