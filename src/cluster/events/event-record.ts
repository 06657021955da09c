/** An event as the catalog keeps it; its sequence is in its key. */
import { decodeRecord, encodeRecord } from "../../catalog/records/codec.ts";
import { type ClusterEvent, EVENT_KINDS } from "./event.ts";

const EVENT_FORMAT = 1;

export type EventRecord = Omit<ClusterEvent, "sequence">;

export function encodeEvent({ atMs, kind, node, domain, cause, gateway }: EventRecord): Buffer {
  return encodeRecord(EVENT_FORMAT, [atMs, kind, node ?? null, domain ?? null, cause, gateway]);
}

/** @throws RecordError */
export function decodeEvent(value: Uint8Array): EventRecord {
  const reader = decodeRecord("event", value, EVENT_FORMAT);
  const [atMs, kind] = [reader.int(), reader.oneOf(EVENT_KINDS)];
  const [node, domain] = [reader.optionalString(), reader.optionalString()];
  return {
    atMs,
    kind,
    ...(node === undefined ? {} : { node }),
    ...(domain === undefined ? {} : { domain }),
    cause: reader.string(),
    gateway: reader.string(),
  };
}

const CURSOR_FORMAT = 1;

/** The last event that a receiver is done with. */
export function encodeEventCursor(sequence: number): Buffer {
  return encodeRecord(CURSOR_FORMAT, [sequence]);
}

/** @throws RecordError */
export function decodeEventCursor(value: Uint8Array): number {
  return decodeRecord("event cursor", value, CURSOR_FORMAT).int();
}
