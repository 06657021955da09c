/** Who does the background work of the cluster. */
import { decodeRecord, encodeRecord } from "./codec.ts";

/** What a leader commits is checked against the version of this record's entry; the epoch is for people. */
export interface Leader {
  /** One higher than that of the leader before. */
  readonly epoch: number;
  /** Of the process that leads. */
  readonly session: number;
  readonly host: string;
}

const LEADER_FORMAT = 1;

export function encodeLeader({ epoch, session, host }: Leader): Buffer {
  return encodeRecord(LEADER_FORMAT, [epoch, session, host]);
}

/** @throws RecordError */
export function decodeLeader(value: Uint8Array): Leader {
  const reader = decodeRecord("leader", value, LEADER_FORMAT);
  return { epoch: reader.int(), session: reader.int(), host: reader.string() };
}
