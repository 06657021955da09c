/** What a node tells of itself, the same record for embedded nodes, who push it, and S3 nodes, who are probed for it. */
import type { Capacity } from "../../nodes/storage-node.ts";
import type { DiskType } from "../../placement/topology.ts";
import type { Id } from "../../shared/ids.ts";
import type { NodeCondition } from "./conditions.ts";
import { EFFECTS, type NodeState } from "./transitions.ts";

/** `undefined` stands for what is not known. */
export interface Heartbeat {
  readonly workerId: Id;
  /** Wall clock, for display. */
  readonly atMs: number;
  readonly storage: {
    readonly capacity: Capacity | undefined;
    readonly diskType: DiskType;
    readonly diskModel: string | undefined;
    /** Share of the time in which the disk was busy, 0 to 1. */
    readonly ioUtilization: number | undefined;
    /** Calls a second that the node has answered lately. */
    readonly iopsCurrent: number | undefined;
  };
  readonly isMaster: boolean;
  /** Of the process that the node runs in; `undefined` for a node elsewhere. */
  readonly uptimeSeconds: number | undefined;
  readonly diskHealth: DiskHealth;
}

/** `unknown` while the node cannot be asked. */
export type DiskHealth = "ok" | "full" | "failing" | "unknown";

export function diskHealthOf(state: NodeState, conditions: readonly NodeCondition[]): DiskHealth {
  if (conditions.includes("corrupt")) return "failing";
  if (conditions.includes("suspect") || EFFECTS[state].reads === "never") return "unknown";
  return conditions.includes("full") ? "full" : "ok";
}
