/** Changes a cluster by the admin API of a gateway, as an operator's tools do. Black-box: nothing here imports src/. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gateway } from "./gateway.ts";

const TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends a request below the cluster's path; the answer whatever its status. */
export async function ask(gateway: Gateway, call: string, body?: object): Promise<Answer> {
  const [method = "", path = ""] = call.split(" ");
  const key = (await readFile(join(gateway.dataDir, "keys/admin-api-key"), "utf8")).trim();
  const answer = await fetch(`${gateway.adminUrl}/api/v1/storage/cluster/${path}`, {
    method,
    headers: { "x-api-key": key },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return { status: answer.status, body: await answer.json() };
}

/** The same, and fails unless it was done. */
export async function change(gateway: Gateway, call: string, body?: object): Promise<unknown> {
  const answer = await ask(gateway, call, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  throw new Error(`${call} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
}

/** Why a change was refused; fails where it was not. */
export async function refusalOf(gateway: Gateway, call: string, body?: object): Promise<string> {
  const answer = await ask(gateway, call, body);
  if (answer.status === 409) return (answer.body as { readonly detail: string }).detail;
  throw new Error(`${call} answered ${answer.status} and was to be refused: ${JSON.stringify(answer.body)}`);
}
