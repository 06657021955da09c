/**
 * Structured logs: one JSON object a line. A message is constant text; what differs goes into fields. Whoever logs
 * builds the fields so that no secret is in them; the redaction here is the second line of defence only.
 */
import { type DestinationStream, destination, pino } from "pino";
import type { Clock } from "../shared/clock.ts";

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

/** Parts of the program that log under a name of their own. */
export type Subsystem =
  | "server"
  | "s3"
  | "admin"
  | "objects"
  | "replication"
  | "cluster"
  | "catalog"
  | "nodes"
  | "coordination";

/** An error goes under the key `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

type Write = (fields: LogFields, message: string) => void;

export interface Logger {
  readonly trace: Write;
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  readonly fatal: Write;
  /** A logger that adds these fields to every line: `requestId`, ... */
  child(fields: LogFields): Logger;
}

export interface Loggers {
  /** The logger of a part; `name` is on each of its lines. */
  named(subsystem: Subsystem): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Where lines go; by default standard output, written before the call returns so that a crash loses none. */
  readonly stream?: DestinationStream;
}

/** Field names whose values are taken out, at the top of a line and one level below. */
const REDACTED = ["secretKey", "apiKey", "authorization", "password", "token", "metricsToken", "cookie"];
const CAUSES_MAX = 5;

export function createLoggers({ level, clock, stream }: LoggerOptions): Loggers {
  const root = pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date(clock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (thrown: unknown) => describeError(thrown, CAUSES_MAX) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
    },
    stream ?? destination({ fd: 1, sync: true }),
  );
  return { named: (subsystem) => root.child({ name: subsystem }) };
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
  child: () => silentLogger,
};

/**
 * Of an error only what is known to be harmless: libraries hang whole requests, with their headers, on theirs.
 */
function describeError(thrown: unknown, causesMax: number): unknown {
  if (!(thrown instanceof Error)) return { message: "a value that is no Error was thrown" };
  const { name, message, stack, cause } = thrown;
  return {
    type: name,
    message,
    ...plainText(thrown, "code"),
    ...plainText(thrown, "kind"),
    stack,
    ...(cause === undefined || causesMax === 0 ? {} : { cause: describeError(cause, causesMax - 1) }),
  };
}

function plainText(error: Error, key: "code" | "kind"): Record<string, string> {
  const value: unknown = Reflect.get(error, key);
  return typeof value === "string" ? { [key]: value } : {};
}
