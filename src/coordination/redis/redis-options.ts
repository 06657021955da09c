/** How ioredis is to behave for a coordinator: fail soon, keep nothing for later, and go on trying to connect. */
import type { ConnectionOptions } from "node:tls";
import type { RedisOptions } from "ioredis";
import type { Secret } from "../../shared/secret.ts";
import { COORDINATOR_CALL_TIMEOUT_MS } from "../coordinator.ts";

/** Without what decides of the types of ioredis' answers: they are looked at one by one. */
export type ClientOptions = Omit<RedisOptions, "replyMapping">;

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisCredentials {
  readonly username?: string;
  readonly password?: Secret;
}

export interface RedisSettings {
  /** One server, or all sentinels that are known. */
  readonly addresses: readonly RedisAddress[];
  /** The name by which the sentinels know the servers; absent: `addresses` is the server. */
  readonly sentinelMaster?: string;
  readonly tls: boolean;
  /** PEM of the authorities that the servers' certificates are signed by; absent: those of the system. */
  readonly ca?: string;
  readonly database: number;
  readonly credentials: RedisCredentials;
  readonly sentinelCredentials: RedisCredentials;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** Half of what a call may take: a script that Redis does not know is sent twice. */
const COMMAND_TIMEOUT_MS = COORDINATOR_CALL_TIMEOUT_MS / 2;
/** A connection on which nothing arrives for so long, though something was asked, is made anew. */
const SILENCE_MS_MAX = 10_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;
const KEEP_ALIVE_MS = 10_000;

/** After the `attempt`th failure; ioredis tries again for as long as it is given a number. */
export function reconnectDelayMs(attempt: number): number {
  return Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(attempt - 1, 10));
}

export function redisOptions(settings: RedisSettings): ClientOptions {
  const { addresses, sentinelMaster, database, credentials, sentinelCredentials } = settings;
  const common: ClientOptions = {
    ...credentialOptions(credentials),
    db: database,
    lazyConnect: true,
    // A call fails when it cannot be sent, and is not sent again: an answer that comes late is worth nothing.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: reconnectDelayMs,
    // After a failover the old primary refuses writes: it is looked for anew.
    reconnectOnError: ({ message }) => message.startsWith("READONLY"),
    protocol: 2,
    disableClientInfo: true,
  };
  const tls = tlsOptions(settings);
  if (sentinelMaster === undefined) {
    const [server] = addresses;
    if (server === undefined) throw new RangeError("a coordinator without an address");
    // Certificates are checked for the host; the name is not sent for an IP address.
    return { ...common, host: server.host, port: server.port, ...(tls === undefined ? {} : { tls }) };
  }
  const { username, password } = sentinelCredentials;
  return {
    ...common,
    sentinels: addresses.map(({ host, port }) => ({ host, port })),
    name: sentinelMaster,
    sentinelRetryStrategy: reconnectDelayMs,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    failoverDetector: true,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password.reveal() }),
    ...(tls === undefined ? {} : { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

/** For the connection that calls go over. One that only listens may rightly hear nothing for long. */
export function callOptions(options: ClientOptions): ClientOptions {
  return { ...options, socketTimeout: SILENCE_MS_MAX };
}

function credentialOptions({ username, password }: RedisCredentials): ClientOptions {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
  };
}

function tlsOptions({ tls, ca }: RedisSettings): ConnectionOptions | undefined {
  if (!tls) return undefined;
  return { minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) };
}
