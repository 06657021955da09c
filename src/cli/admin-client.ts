/** Asks the admin API, and says in a sentence why it cannot. */
import { request } from "undici";
import type * as z from "zod";
import { API_KEY_HEADER, problemSchema } from "../admin/api-types.ts";
import { systemErrorCode } from "../shared/errors.ts";
import { CliError, EXIT } from "./errors.ts";

const ANSWER_TIMEOUT_MS = 15_000;
/** It is as it was asked for; something was made; something has begun. */
const SUCCESSES: ReadonlySet<number> = new Set([200, 201, 202]);

export interface AdminAccess {
  /** Without a slash at its end. */
  readonly url: string;
  readonly apiKey: string | undefined;
  /** Where the key came from, or was looked for, to tell the user. */
  readonly apiKeyOrigin: string;
}

interface Call {
  readonly method?: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly sent?: string;
}

export class AdminClient {
  readonly #access: AdminAccess;

  constructor(access: AdminAccess) {
    this.#access = access;
  }

  /** @throws CliError */
  get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#ask(path, schema, {});
  }

  /** What a gateway of another version may not have: `undefined` where it is not there, or is told in another form. */
  async find<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const { status, body } = await this.#request(path, {});
    return status === 200 ? schema.safeParse(body).data : undefined;
  }

  /** Sends a request that has something begin. @throws CliError */
  post<T>(path: string, schema: z.ZodType<T>, body: object): Promise<T> {
    return this.#ask(path, schema, { method: "POST", sent: JSON.stringify(body) });
  }

  /** Changes something. @throws CliError */
  patch<T>(path: string, schema: z.ZodType<T>, body: object): Promise<T> {
    return this.#ask(path, schema, { method: "PATCH", sent: JSON.stringify(body) });
  }

  /** Replaces something. @throws CliError */
  put<T>(path: string, schema: z.ZodType<T>, body: object): Promise<T> {
    return this.#ask(path, schema, { method: "PUT", sent: JSON.stringify(body) });
  }

  /** Takes something away, or gives it up. @throws CliError */
  delete<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#ask(path, schema, { method: "DELETE" });
  }

  async #ask<T>(path: string, schema: z.ZodType<T>, call: Call): Promise<T> {
    const { url } = this.#access;
    const { status, body } = await this.#request(path, call);
    if (!SUCCESSES.has(status)) throw new CliError(EXIT.failed, this.#describeProblem(status, body));
    const answer = schema.safeParse(body);
    if (answer.success) return answer.data;
    throw new CliError(EXIT.failed, `what answers at ${url}${path} is not the admin API of this version of Bulkhead`, {
      cause: answer.error,
    });
  }

  /** An answer whatever its status, but that of a refused key. @throws CliError */
  async #request(path: string, call: Call): Promise<{ status: number; body: unknown }> {
    const { url, apiKey, apiKeyOrigin } = this.#access;
    if (apiKey === undefined) {
      throw new CliError(
        EXIT.denied,
        `no key for the admin API: set BULKHEAD_ADMIN_API_KEY or BULKHEAD_ADMIN_API_KEY_FILE (${apiKeyOrigin})`,
      );
    }
    const answer = await this.#fetch(path, apiKey, call);
    if (answer.status === 401 || answer.status === 403) {
      throw new CliError(EXIT.denied, `the admin API at ${url} refuses the key from ${apiKeyOrigin}`);
    }
    return answer;
  }

  async #fetch(path: string, apiKey: string, { method, sent }: Call): Promise<{ status: number; body: unknown }> {
    const { url } = this.#access;
    try {
      // Follows no redirect: it would carry the key to wherever it points.
      const { statusCode, body } = await request(`${url}${path}`, {
        headers: {
          [API_KEY_HEADER]: apiKey,
          accept: "application/json",
          ...(sent === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(method === undefined ? {} : { method }),
        ...(sent === undefined ? {} : { body: sent }),
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      });
      return { status: statusCode, body: parseJson(await body.text()) };
    } catch (error) {
      throw new CliError(EXIT.unreachable, `cannot reach the admin API at ${url}: ${describeFailure(error)}`, {
        cause: error,
      });
    }
  }

  #describeProblem(status: number, body: unknown): string {
    const problem = problemSchema.safeParse(body);
    if (!problem.success) return `the admin API at ${this.#access.url} answered with status ${status}`;
    return problem.data.detail ?? problem.data.title;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is the gateway running?",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host cannot be looked up",
  EHOSTUNREACH: "there is no way to the host",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_CONNECT_TIMEOUT: "the host does not answer",
  UND_ERR_HEADERS_TIMEOUT: `no answer within ${ANSWER_TIMEOUT_MS / 1000} seconds`,
  UND_ERR_BODY_TIMEOUT: `no answer within ${ANSWER_TIMEOUT_MS / 1000} seconds`,
};

function describeFailure(error: unknown): string {
  const code = systemErrorCode(error);
  if (code !== undefined) return FAILURES[code] ?? code;
  return error instanceof Error ? error.message : "the connection failed";
}
