/** One event to a webhook's URL. */
import { request } from "undici";
import type { Clock } from "../../shared/clock.ts";
import type { Secret } from "../../shared/secret.ts";
import type { ClusterEvent } from "./event.ts";

export const SECRET_HEADER = "x-bulkhead-webhook-secret";
/** Of an answer; what it says is not read. */
const ANSWER_BYTES_MAX = 65_536;

export interface WebhookTarget {
  readonly url: string;
  /** Sent in SECRET_HEADER, so that the receiver knows who speaks. */
  readonly secret: Secret | undefined;
  readonly timeoutMs: number;
}

/** Resolves when the receiver answered 2xx. @throws Error for any other answer, and for none in time */
export async function postEvent(
  { url, secret, timeoutMs }: WebhookTarget,
  event: ClusterEvent,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const timeout = new AbortController();
  const timer = clock.startTimer(timeoutMs, () => timeout.abort(new Error("the webhook did not answer in time")));
  try {
    const { statusCode, body } = await request(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(secret === undefined ? {} : { [SECRET_HEADER]: secret.reveal() }),
      },
      body: JSON.stringify(eventJson(event)),
      signal: AbortSignal.any([timeout.signal, signal]),
    });
    await body.dump({ limit: ANSWER_BYTES_MAX });
    if (statusCode < 200 || statusCode > 299) throw new Error(`the webhook answered ${statusCode}`);
  } finally {
    timer.stop();
  }
}

/** As the admin API tells it. */
export function eventJson({ sequence, kind, atMs, node, domain, cause, gateway }: ClusterEvent): EventJson {
  return {
    sequence,
    kind,
    time: new Date(atMs).toISOString(),
    node: node ?? null,
    domain: domain ?? null,
    cause,
    gateway,
  };
}

export interface EventJson {
  readonly sequence: number;
  readonly kind: ClusterEvent["kind"];
  readonly time: string;
  readonly node: string | null;
  readonly domain: string | null;
  readonly cause: string;
  readonly gateway: string;
}
