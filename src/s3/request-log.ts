import type { Logger } from "../observability/logger.ts";
import type { FinishedRequest, Metrics } from "../observability/metrics.ts";

/** Where the server tells of its requests. */
export interface RequestObserver {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "requestStarted" | "requestFinished">;
}

/** What is logged of a request. Buckets and keys are never in metrics, and its query, which may sign, in neither. */
export interface RequestFacts extends FinishedRequest {
  readonly requestId: string;
  readonly method: string;
  readonly bucket?: string;
  readonly key?: string;
  /** The S3 error code of the answer. */
  readonly errorCode?: string;
  /** Access key id of the caller. */
  readonly accessKey?: string;
  readonly remoteAddress?: string;
  readonly userAgent?: string;
}

/** Status of a request whose client went before it was answered; nginx's, as HTTP has none. */
export const CLIENT_GONE_STATUS = 499;

/** Tells of a request that is over: one line, and the metrics. */
export function requestFinished({ logger, metrics }: RequestObserver, facts: RequestFacts): void {
  metrics.requestFinished(facts);
  // What is not implemented is no failure of ours.
  if (facts.status >= 500 && facts.status !== 501) logger.error({ ...facts }, "request failed");
  else logger.info({ ...facts }, "request answered");
}
