/** What all coordinators refuse, so that none has to cope with what another could not. */
import { CoordinatorError, type SharedRate } from "./coordinator.ts";

export const NAME_CHARS_MAX = 200;
export const LEASE_MS_MIN = 1_000;
export const LEASE_MS_MAX = 3_600_000;
export const MESSAGE_BYTES_MAX = 4_096;
export const STATE_BYTES_MAX = 16_384;
export const STATE_MS_MAX = 86_400_000;
/** Documents that one list returns. */
export const STATES_LISTED_MAX = 1_000;
export const SAMPLE_BYTES_MAX = 1_024;
/** Samples kept of a series: 24 hours of one in 30 s, and some more. */
export const SAMPLES_MAX = 4_000;
export const HISTORY_MS = 86_400_000;
/** Names of one kind that the embedded coordinator keeps. */
export const NAMES_MAX = 10_000;

/** Visible ASCII: a name is the same text in every program that one may look with. */
const NAME = /^[!-~]*$/;

function invalid(message: string): CoordinatorError {
  return new CoordinatorError("invalid", message);
}

/** @throws CoordinatorError */
export function checkName(name: string): void {
  if (name.length === 0) throw invalid("a name in the coordinator cannot be empty");
  checkPrefix(name);
}

/** A name, or the beginning of one. @throws CoordinatorError */
export function checkPrefix(prefix: string): void {
  if (prefix.length > NAME_CHARS_MAX) throw invalid("a name in the coordinator is longer than its limit");
  if (!NAME.test(prefix)) throw invalid("a name in the coordinator consists of visible ASCII characters");
}

/** @throws CoordinatorError */
export function checkLeaseTtl(ttlMs: number): void {
  const valid = Number.isInteger(ttlMs) && ttlMs >= LEASE_MS_MIN && ttlMs <= LEASE_MS_MAX;
  if (!valid) throw invalid("the time of a lease is out of its bounds");
}

/** @throws CoordinatorError */
export function checkStateTtl(ttlMs: number): void {
  const valid = Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= STATE_MS_MAX;
  if (!valid) throw invalid("the time of a live state is out of its bounds");
}

/** @throws CoordinatorError */
export function checkMessage(message: string): void {
  if (Buffer.byteLength(message) > MESSAGE_BYTES_MAX) throw invalid("a message is larger than its limit");
}

/** @throws CoordinatorError */
export function checkTake(amount: number, { perSecond, burst }: SharedRate): void {
  const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;
  if (!isPositive(perSecond) || !isPositive(burst)) throw invalid("a shared rate and its burst are more than nothing");
  if (!isPositive(amount) || amount > burst) throw invalid("an amount is more than nothing and at most the burst");
}

/** @throws CoordinatorError */
export function stateText(document: object): string {
  return boundedJson(document, STATE_BYTES_MAX);
}

/** @throws CoordinatorError */
export function sampleText(sample: object): string {
  return boundedJson(sample, SAMPLE_BYTES_MAX);
}

function boundedJson(value: object, bytesMax: number): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > bytesMax) throw invalid("a document is larger than its limit");
  return text;
}
