/** Limits of background work that an operator set while the cluster serves: each comes before what is configured. */
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "./codec.ts";

/** `none`: there is no limit. `auto`: as fast as clients let it. */
export type LimitWord = "none" | "auto";
export type Limit = number | LimitWord;

/** What is absent is as it is configured. */
export interface WorkLimits {
  readonly copiesPerSecond?: Limit;
  /** MiB a second. */
  readonly bandwidthMib?: Limit;
}

export const LIMITED_WORK = ["rebalance", "repair", "scrub"] as const;
export type LimitedWork = (typeof LIMITED_WORK)[number];

export type LiveLimits = Readonly<Record<LimitedWork, WorkLimits>>;

export const NO_LIVE_LIMITS: LiveLimits = { rebalance: {}, repair: {}, scrub: {} };

const LIVE_LIMITS_FORMAT = 1;
/** Words in the place of a number, which is at least 1. */
const WORDS: readonly LimitWord[] = ["none", "auto"];

export function encodeLiveLimits(limits: LiveLimits): Buffer {
  const fields = LIMITED_WORK.map((work) => {
    const { copiesPerSecond, bandwidthMib } = limits[work];
    return [limitField(copiesPerSecond), limitField(bandwidthMib)];
  });
  return encodeRecord(LIVE_LIMITS_FORMAT, fields);
}

/** @throws RecordError */
export function decodeLiveLimits(value: Uint8Array): LiveLimits {
  const reader = decodeRecord("live limits", value, LIVE_LIMITS_FORMAT);
  const [rebalance, repair, scrub] = [readWork(reader), readWork(reader), readWork(reader)];
  return { rebalance, repair, scrub };
}

function limitField(limit: Limit | undefined): Field {
  if (limit === undefined) return null;
  return typeof limit === "number" ? limit : -WORDS.indexOf(limit) - 1;
}

function readWork(reader: RecordReader): WorkLimits {
  const fields = reader.nested();
  const [copiesPerSecond, bandwidthMib] = [readLimit(fields), readLimit(fields)];
  return {
    ...(copiesPerSecond === undefined ? {} : { copiesPerSecond }),
    ...(bandwidthMib === undefined ? {} : { bandwidthMib }),
  };
}

function readLimit(reader: RecordReader): Limit | undefined {
  const value = reader.optionalInt();
  if (value === undefined || value > 0) return value;
  const word = WORDS[-value - 1];
  if (word === undefined) throw reader.fail("a limit that this version does not know");
  return word;
}
