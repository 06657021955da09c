/**
 * What happens, told once: each function writes the log line and moves the metrics that belong together. Buckets and
 * keys are in logs, never in metrics; a request's query is in neither, as presigned ones hold signatures.
 */
import type { Loggers } from "./logger.ts";
import type { FinishedRequest, Metrics } from "./metrics.ts";

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

export interface WriteFacts {
  readonly acknowledgement: "full" | "quorum" | "degraded" | "no";
  readonly copiesDurable: number;
  readonly copiesWanted: number;
  readonly requestId?: string;
}

export interface BadCopyFacts {
  readonly node: string;
  readonly blobId: string;
  readonly slot: number;
  readonly state: "corrupt" | "missing";
  /** What noticed it: a read, the scrubber, ... */
  readonly noticedBy: string;
}

export interface RestoredCopyFacts {
  readonly node: string;
  readonly blobId: string;
  readonly slot: number;
  readonly bytes: number;
  /** Why it was made. */
  readonly cause: "missing" | "handoff" | "corrupt" | "straggler" | "moved";
}

export interface NodeStateFacts {
  readonly node: string;
  readonly domain: string;
  readonly from: string;
  readonly to: string;
  /** In a sentence, for an operator. */
  readonly cause: string;
}

export interface Events {
  requestFinished(facts: RequestFacts): void;
  writeDecided(facts: WriteFacts): void;
  badCopyFound(facts: BadCopyFacts): void;
  copyRestored(facts: RestoredCopyFacts): void;
  nodeStateChanged(facts: NodeStateFacts): void;
}

/** States of a node that an operator need not look at. */
const GOOD_STATES: ReadonlySet<string> = new Set(["healthy", "online"]);

export function createEvents(loggers: Loggers, metrics: Metrics): Events {
  const s3 = loggers.named("s3");
  const replication = loggers.named("replication");
  const cluster = loggers.named("cluster");
  return {
    requestFinished(facts) {
      metrics.requestFinished(facts);
      if (facts.status >= 500) s3.error({ ...facts }, "request failed");
      else s3.info({ ...facts }, "request answered");
    },
    writeDecided(facts) {
      metrics.writeDecided(facts.acknowledgement);
      if (facts.acknowledgement === "degraded") replication.warn({ ...facts }, "write acknowledged below its quorum");
      else if (facts.acknowledgement === "no") replication.error({ ...facts }, "write refused for want of copies");
    },
    badCopyFound(facts) {
      metrics.badCopyFound(facts.node, facts.state);
      replication.warn({ ...facts }, "bad copy found");
    },
    copyRestored(facts) {
      metrics.copyRestored(facts.cause, facts.bytes);
      replication.debug({ ...facts }, "copy restored");
    },
    nodeStateChanged(facts) {
      metrics.nodeStateChanged(facts.node, facts.to);
      const level = GOOD_STATES.has(facts.to) ? "info" : "warn";
      cluster[level]({ ...facts }, "node changed state");
    },
  };
}
