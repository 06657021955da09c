import { API_PATHS, workersSchema } from "../admin/api-types.ts";
import { type Events, eventsSchema } from "../admin/health-types.ts";
import { type Clock, sleep } from "../shared/clock.ts";
import type { AdminClient } from "./admin-client.ts";
import { formatNodes, type Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatTable } from "./text.ts";

export interface EventOptions {
  readonly follow?: boolean;
  readonly limit?: string;
  readonly after?: string;
  readonly json?: boolean;
}

/** How often a follower asks for what is new. */
const FOLLOW_MS = 1_000;
const PAGE = 1_000;
const LIMIT_DEFAULT = 50;

/** Lists events; with `follow` it goes on telling new ones, a line each, for as long as the gateway answers. @throws CliError */
export async function showEvents(
  admin: AdminClient,
  options: EventOptions,
  { clock, tell }: { readonly clock: Clock; readonly tell: (text: string) => void },
): Promise<Output> {
  const limit = count("--limit", options.limit, LIMIT_DEFAULT);
  const after = options.after === undefined ? "" : `&after=${count("--after", options.after, 0)}`;
  let answer = await admin.get(`${API_PATHS.events}?limit=${limit}${after}`, eventsSchema);
  if (options.follow !== true) return { json: answer, text: formatEvents(answer) };
  let last = answer.last;
  for (;;) {
    for (const event of answer.events) tell(options.json === true ? `${JSON.stringify(event)}\n` : `${line(event)}\n`);
    last = Math.max(last, answer.last);
    await sleep(clock, FOLLOW_MS);
    answer = await admin.get(`${API_PATHS.events}?limit=${PAGE}&after=${last}`, eventsSchema);
  }
}

/** Takes a decommissioned node back. @throws CliError */
export async function rejoinNode(admin: AdminClient, name: string): Promise<Output> {
  const answer = await admin.post(`${API_PATHS.nodes}/${encodeURIComponent(name)}/rejoin`, workersSchema, {});
  return { json: answer, text: formatNodes(answer) };
}

function formatEvents({ events }: Events): string {
  const rows = events.map((event) => [
    String(event.sequence),
    event.time,
    event.kind,
    event.node ?? "-",
    event.domain ?? "-",
    event.gateway,
    event.cause,
  ]);
  return formatTable(["NUMBER", "TIME", "KIND", "NODE", "DOMAIN", "GATEWAY", "CAUSE"], rows);
}

function line({ sequence, time, kind, node, domain, gateway, cause }: Events["events"][number]): string {
  return [String(sequence), time, kind, node ?? "-", domain ?? "-", gateway, cause].join("  ");
}

function count(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(text)) throw new CliError(EXIT.usage, `${option} takes a whole number, not ${text}`);
  return Number(text);
}
