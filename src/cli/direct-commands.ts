/** `bulkhead presign`, `pins` and `buckets`. */
import type { Command } from "commander";
import {
  type Buckets,
  bucketsSchema,
  DIRECT_PATHS,
  type Pins,
  pinsSchema,
  presignedUrlSchema,
} from "../admin/direct-types.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { formatTable } from "./text.ts";

type Asking = (command: Command, show: (admin: AdminClient, args: readonly string[]) => Promise<Output>) => Command;

/** @param asking makes a command one that asks the admin API */
export function addDirectCommands(program: Command, asking: Asking): void {
  const presign = asking(
    program.command("presign <url>").description("a URL for one request on s3://BUCKET/KEY, good until it expires"),
    (admin, [url = ""]) => showPresigned(admin, url, presign.opts<PresignOptions>()),
  );
  presign
    .option("--method <method>", "GET, HEAD or PUT (default: GET)")
    .option("--expires <duration>", "its life, such as 90s, 15min, 1h or 7d: 1s to 7d (default: 1h)")
    .option("--version-id <id>", "the version to read")
    .option("--direct", "lead to a storage node instead of the gateway; a life over 60s pins the copy there")
    .option("--node <name>", "with --direct: the node to read from");
  const pins = asking(
    program.command("pins").description("copies that stay on their nodes for a URL's sake"),
    showPins,
  );
  asking(
    pins.command("remove <pin>").description("let the copies go; the URL may be refused from then on"),
    async (admin, [pin = ""]) =>
      pinsOutput(await admin.delete(`${DIRECT_PATHS.pins}/${encodeURIComponent(pin)}`, pinsSchema)),
  );
  const buckets = asking(program.command("buckets").description("the buckets and what is set of them"), showBuckets);
  const set = asking(
    buckets.command("set <name>").description("change what is set of a bucket"),
    (admin, [name = ""]) => setBucket(admin, name, set.opts<BucketOptions>()),
  );
  set.option("--read-redirect <on|off>", "send presigned reads of whole objects on to storage nodes");
}

interface PresignOptions {
  readonly method?: string;
  readonly expires?: string;
  readonly versionId?: string;
  readonly direct?: boolean;
  readonly node?: string;
}

async function showPresigned(admin: AdminClient, url: string, options: PresignOptions): Promise<Output> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(url) ?? [];
  if (bucket === undefined || key === undefined) {
    throw new CliError(EXIT.usage, `an object is named s3://BUCKET/KEY, not ${url}`);
  }
  const { method, expires, versionId, direct, node } = options;
  const answer = await admin.post(DIRECT_PATHS.presign, presignedUrlSchema, {
    bucket,
    key,
    ...(method === undefined ? {} : { method: method.toUpperCase() }),
    ...(expires === undefined ? {} : { expires_seconds: secondsOf(expires) }),
    ...(versionId === undefined ? {} : { version_id: versionId }),
    ...(direct === undefined ? {} : { direct }),
    ...(node === undefined ? {} : { node }),
  });
  // The URL alone, so that it can stand in a command line.
  return { json: answer, text: `${answer.url}\n` };
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, m: 60, h: 3600, d: 86_400 };

/** Whether it is too long or too short is the server's to say. */
function secondsOf(text: string): number {
  const [, amount, unit = "s"] = /^(\d{1,9}) ?(s|min|m|h|d)?$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new CliError(EXIT.usage, `--expires takes a duration such as 90s, 15min, 1h or 7d, not ${text}`);
  }
  return Number(amount) * (SECONDS[unit] ?? 1);
}

async function showPins(admin: AdminClient): Promise<Output> {
  return pinsOutput(await admin.get(DIRECT_PATHS.pins, pinsSchema));
}

function pinsOutput(answer: Pins): Output {
  const rows = answer.pins.map(({ pin, bucket, key, node, node_id, until, ended }) => [
    pin,
    `s3://${bucket}/${key}`,
    node ?? node_id,
    until,
    ended ? "yes" : "no",
  ]);
  return { json: answer, text: formatTable(["PIN", "OBJECT", "NODE", "UNTIL", "ENDED"], rows) };
}

async function showBuckets(admin: AdminClient): Promise<Output> {
  const all: Buckets["buckets"] = [];
  let next: string | null = "";
  while (next !== null) {
    const after: string = next === "" ? "" : `?after=${encodeURIComponent(next)}`;
    const page: Buckets = await admin.get(`${DIRECT_PATHS.buckets}${after}`, bucketsSchema);
    all.push(...page.buckets);
    next = page.next;
  }
  return bucketsOutput({ buckets: all, next: null });
}

interface BucketOptions {
  readonly readRedirect?: string;
}

async function setBucket(admin: AdminClient, name: string, { readRedirect }: BucketOptions): Promise<Output> {
  if (readRedirect === undefined) throw new CliError(EXIT.usage, "say what is to be changed: --read-redirect");
  if (readRedirect !== "on" && readRedirect !== "off") {
    throw new CliError(EXIT.usage, `--read-redirect takes on or off, not ${readRedirect}`);
  }
  const path = `${DIRECT_PATHS.buckets}/${encodeURIComponent(name)}`;
  return bucketsOutput(await admin.patch(path, bucketsSchema, { read_redirect: readRedirect === "on" }));
}

function bucketsOutput(answer: Buckets): Output {
  const rows = answer.buckets.map(({ name, created_at, read_redirect }) => [
    name,
    created_at,
    read_redirect ? "on" : "off",
  ]);
  return { json: answer, text: formatTable(["NAME", "CREATED", "READ REDIRECT"], rows) };
}
