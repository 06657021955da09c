/**
 * Records of the cluster itself: who it is, and the sessions of the processes that write to it.
 */
import type { Id } from "../../shared/ids.ts";
import { idBytes } from "../../shared/ids.ts";
import { decodeRecord, encodeRecord } from "./codec.ts";

export interface Cluster {
  readonly clusterId: Id;
  readonly createdAtMs: number;
}

const CLUSTER_FORMAT = 1;

export function encodeCluster(cluster: Cluster): Buffer {
  return encodeRecord(CLUSTER_FORMAT, [idBytes(cluster.clusterId), cluster.createdAtMs]);
}

export function decodeCluster(value: Uint8Array): Cluster {
  const reader = decodeRecord("cluster", value, CLUSTER_FORMAT);
  return { clusterId: reader.id(), createdAtMs: reader.int() };
}

/**
 * One start of one gateway process. Every commit of it checks that this record is unchanged, so an ended session
 * can commit nothing more, and a blob of an ended session that no record names is an orphan.
 */
export interface Session {
  readonly startedAtMs: number;
  readonly host: string;
  readonly pid: number;
  readonly state: "live" | "ended";
}

const SESSION_FORMAT = 1;

export function encodeSession(session: Session): Buffer {
  return encodeRecord(SESSION_FORMAT, [session.startedAtMs, session.host, session.pid, session.state === "live"]);
}

export function decodeSession(value: Uint8Array): Session {
  const reader = decodeRecord("session", value, SESSION_FORMAT);
  return {
    startedAtMs: reader.int(),
    host: reader.string(),
    pid: reader.int(),
    state: reader.bool() ? "live" : "ended",
  };
}

const FLOOR_FORMAT = 1;

/** A session number (see sessionFloorKey). */
export function encodeFloor(session: number): Buffer {
  return encodeRecord(FLOOR_FORMAT, [session]);
}

/** @throws RecordError */
export function decodeFloor(value: Uint8Array): number {
  return decodeRecord("session floor", value, FLOOR_FORMAT).int();
}
