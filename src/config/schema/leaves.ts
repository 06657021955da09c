/**
 * The kinds of values that a setting can have. Values from the environment and from `${NAME}` are texts, so every
 * kind reads its text form as well. Each kind states its form once: in messages and in the documentation.
 */
import { isIP, isIPv6 } from "node:net";
import * as z from "zod";
import type { ListenAddress } from "../config.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

/** What a leaf accepts, to follow "must be": `a whole number from 1 to 64`. */
const forms = new WeakMap<z.ZodType, string>();

export type Leaf<T> = z.ZodType<T, unknown>;

/** Returned by a leaf's reader for what it does not accept. */
export interface Refusal {
  /** A sentence without its subject and its full stop. By default: `must be` and the form. */
  readonly refused: true | string;
}

const REFUSED: Refusal = { refused: true };

export type Reading<T> = { readonly value: T } | Refusal;

/** A kind of value, from the form that it has and a function that reads it. */
export function leaf<T>(form: string, read: (written: unknown) => Reading<T>): Leaf<T> {
  const transformed = z.unknown().transform((written, context): T => {
    const result = read(written);
    if ("value" in result) return result.value;
    const message = result.refused === true ? `must be ${form}` : result.refused;
    context.issues.push({ code: "custom", message, input: written });
    return z.NEVER;
  });
  // Zod awaits what a transform returns and says Awaited<T>; no reader returns a promise.
  const schema = transformed as unknown as Leaf<T>;
  forms.set(schema, form);
  return schema;
}

/** The form that a leaf made by `leaf` accepts. */
export function formOf(schema: z.ZodType): string | undefined {
  return forms.get(schema);
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): Leaf<number> {
  return leaf(`a whole number from ${min} to ${max}`, (written) => {
    const value = readInteger(written);
    return value !== undefined && value >= min && value <= max ? { value } : REFUSED;
  });
}

/** One of some words, or a whole number within bounds. */
export function wordOrInteger<W extends string>(words: readonly W[], min: number, max: number): Leaf<W | number> {
  return leaf(`${listed(words)}, or a whole number from ${min} to ${max}`, (written): Reading<W | number> => {
    const word = words.find((candidate) => candidate === written);
    if (word !== undefined) return { value: word };
    const value = readInteger(written);
    return value !== undefined && value >= min && value <= max ? { value } : REFUSED;
  });
}

export function flag(): Leaf<boolean> {
  return leaf("true or false", (written) => {
    if (written === true || written === "true") return { value: true };
    if (written === false || written === "false") return { value: false };
    return REFUSED;
  });
}

export function word<W extends string>(words: readonly W[]): Leaf<W> {
  return leaf(listed(words), (written) => {
    const value = words.find((candidate) => candidate === written);
    return value === undefined ? REFUSED : { value };
  });
}

/** In milliseconds; the bounds are written as people do. */
export function duration(min: string, max: string): Leaf<number> {
  return quantity(`a duration such as 10s, 5 min or 1h, from ${min} to ${max}`, parseDurationMs, { min, max });
}

/** In bytes; the bounds are written as people do. */
export function size(min: string, max: string): Leaf<number> {
  return quantity(`a size such as 64MiB, from ${min} to ${max}`, parseSizeBytes, { min, max });
}

function quantity(
  form: string,
  parse: (text: string) => number | undefined,
  bounds: { min: string; max: string },
): Leaf<number> {
  const min = parse(bounds.min);
  const max = parse(bounds.max);
  if (min === undefined || max === undefined) throw new RangeError("a bound that is no quantity");
  return leaf(form, (written) => {
    const value = typeof written === "string" ? parse(written) : undefined;
    return value !== undefined && value >= min && value <= max ? { value } : REFUSED;
  });
}

/** A text that matches a pattern. YAML's numbers are refused: `0123` would have become 83 or 123. */
export function text(form: string, pattern: RegExp): Leaf<string> {
  return leaf(form, (written) => {
    if (typeof written === "number" || typeof written === "boolean") {
      return { refused: "must be a text: put it in quotes" };
    }
    return typeof written === "string" && pattern.test(written) ? { value: written } : REFUSED;
  });
}

/** `HOST:PORT` or `[IPv6]:PORT`. */
export function listenAddress(): Leaf<ListenAddress> {
  return leaf("HOST:PORT such as 127.0.0.1:9070 or [::1]:9070", (written) => {
    const match = typeof written === "string" ? /^(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(written) : null;
    const [, inBrackets, plain, portText] = match ?? [];
    const host = inBrackets ?? plain;
    const port = Number(portText);
    if (host === undefined || port > 65_535) return REFUSED;
    if (inBrackets !== undefined && !isIPv6(inBrackets)) return REFUSED;
    return { value: { host, port } };
  });
}

/** `http://` or `https://`, a host and maybe a port, nothing more. Read without the slash at its end. */
export function originUrl(): Leaf<string> {
  return leaf("http:// or https:// with a host and maybe a port, and nothing after it", (written) => {
    if (typeof written !== "string") return REFUSED;
    const origin = readOrigin(written);
    return origin === undefined ? REFUSED : { value: origin };
  });
}

/** A DNS name in lower case, without a port; no IP address. */
export function dnsName(): Leaf<string> {
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  const pattern = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);
  return leaf("a domain name in lower case such as s3.example.com, without a port", (written) =>
    typeof written === "string" && pattern.test(written) && isIP(written) === 0 ? { value: written } : REFUSED,
  );
}

/** The scheme, host and port of an http(s) URL that has nothing else in it. */
export function readOrigin(written: string): string | undefined {
  if (!/^https?:\/\/[^/?#@\s]+\/?$/i.test(written) || !URL.canParse(written)) return undefined;
  return new URL(written).origin;
}

function readInteger(written: unknown): number | undefined {
  if (typeof written === "string" && /^-?\d{1,15}$/.test(written)) return Number(written);
  return typeof written === "number" && Number.isSafeInteger(written) ? written : undefined;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
