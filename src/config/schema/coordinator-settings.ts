/** `coordinator.*` */
import { isIPv6 } from "node:net";
import * as z from "zod";
import type { ListenAddress } from "../config.ts";
import { path } from "./forms.ts";
import { type Leaf, leaf, type Reading, text } from "./leaves.ts";
import { settingNotes } from "./setting-notes.ts";

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;
const SENTINELS_MAX = 16;
export const SENTINEL_MASTER = "mymaster";

/** A server, or the sentinels that know it; the user part of their URLs is for whom they name. */
export interface RedisUrl {
  readonly kind: "redis";
  readonly sentinels: boolean;
  readonly tls: boolean;
  readonly addresses: readonly ListenAddress[];
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
}

export type CoordinatorUrl = { readonly kind: "embedded" } | RedisUrl;

const coordinatorUrl = (): Leaf<CoordinatorUrl> =>
  leaf(
    "embedded:, redis://HOST:PORT or rediss://HOST:PORT, or a list of the sentinels' URLs",
    (written): Reading<CoordinatorUrl> => {
      if (written === "embedded:") return { value: { kind: "embedded" } };
      const list = Array.isArray(written) ? written : listOf(written);
      if (list !== undefined) return readSentinels(list);
      const url = typeof written === "string" ? readUrl(written, REDIS_PORT) : undefined;
      return url === undefined ? { refused: true } : { value: url };
    },
  );

/** A list that the environment has as JSON. */
function listOf(written: unknown): readonly unknown[] | undefined {
  if (typeof written !== "string" || !written.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(written);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

function readSentinels(list: readonly unknown[]): Reading<CoordinatorUrl> {
  const urls = list.map((each) => (typeof each === "string" ? readUrl(each, SENTINEL_PORT) : undefined));
  const known = urls.filter((url) => url !== undefined);
  const [first] = known;
  if (first === undefined || known.length < list.length) return { refused: true };
  if (known.length > SENTINELS_MAX) return { refused: `must name at most ${SENTINELS_MAX} sentinels` };
  if (known.some(({ tls }) => tls !== first.tls)) return { refused: "must be all redis:// or all rediss://" };
  if (known.some(({ username, password }) => username !== first.username || password !== first.password)) {
    return { refused: "must have the same user and password in all URLs of the list" };
  }
  if (known.some(({ database }) => database !== 0)) {
    return { refused: "must have no database in the URLs of a list: sentinels have none" };
  }
  return { value: { ...first, sentinels: true, addresses: known.flatMap(({ addresses }) => addresses) } };
}

function readUrl(written: string, defaultPort: number): RedisUrl | undefined {
  if (!/^rediss?:\/\/[^\s?#]+$/i.test(written) || !URL.canParse(written)) return undefined;
  const { protocol, hostname, port, pathname, username, password } = new URL(written);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const database = /^\/?(\d{1,4})?$/.exec(pathname);
  if (database === null || (hostname.startsWith("[") ? !isIPv6(host) : !/^[A-Za-z0-9._-]+$/.test(host)))
    return undefined;
  const user = decoded(username);
  const secret = decoded(password);
  if (user === undefined || secret === undefined) return undefined;
  return {
    kind: "redis",
    sentinels: false,
    tls: protocol.toLowerCase() === "rediss:",
    addresses: [{ host, port: port === "" ? defaultPort : Number(port) }],
    database: Number(database[1] ?? 0),
    ...(user === "" ? {} : { username: user }),
    ...(secret === "" ? {} : { password: secret }),
  };
}

function decoded(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

export const coordinatorSettings = z.strictObject({
  url: coordinatorUrl().prefault("embedded:").register(settingNotes, {
    meaning:
      "who does what now: `embedded:` in the gateway, or a Redis server: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` with TLS, or a list (in the environment as JSON) of its sentinels, whose users and passwords are the sentinels' own",
    secret: true,
  }),
  username: text("1 to 256 printable ASCII characters, no spaces", /^[!-~]{1,256}$/)
    .optional()
    .register(settingNotes, { meaning: "user of the Redis server", defaultNote: "of the URL, or Redis' own default" }),
  password: text("1 to 512 printable ASCII characters, no spaces", /^[!-~]{1,512}$/)
    .optional()
    .register(settingNotes, {
      meaning: "password of the Redis server, where it is not in its URL",
      secret: true,
      defaultNote: "of the URL",
    }),
  caFile: path().optional().register(settingNotes, {
    meaning: "PEM file with the authorities that the certificates of Redis and its sentinels are signed by",
    defaultNote: "the system's",
  }),
  sentinelMaster: text("a name of 1 to 255 letters, digits, dots, hyphens and underscores", /^[\w.-]{1,255}$/)
    .optional()
    .register(settingNotes, {
      meaning: "name by which the sentinels know the Redis server",
      defaultNote: `\`${SENTINEL_MASTER}\` where there are sentinels`,
    }),
});

export type CoordinatorSettings = z.output<typeof coordinatorSettings>;
