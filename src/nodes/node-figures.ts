/** What a node, or the machine under it, tells of how full and how busy it is. */
import type { Capacity } from "./storage-node.ts";

/** Each is absent where it is not known. */
export interface NodeFigures {
  readonly capacity?: Capacity;
  /** Requests that the node works on, whoever sent them. */
  readonly inflight?: number;
  /** Requests that wait in the node for their turn, whoever sent them. */
  readonly waiting?: number;
  /** Share of the time, 0 to 1, in which the disk was busy since it was last looked at. */
  readonly ioUtilization?: number;
  readonly diskType?: "ssd" | "hdd" | "nvme";
}

/** Where the capacity of a node comes from: the file system of a volume, or the metrics that a server serves. */
export type CapacitySource = "statfs" | "scraped";

/** The figures of a node as they are shown to operators and to metrics. */
export interface NodeFiguresView {
  readonly figures: NodeFigures;
  readonly source: CapacitySource;
  /** The larger of what this process has under way there and what the node tells. */
  readonly inflight: number;
  readonly waiting: number;
  /** Wall clock of the last reading that succeeded; absent before it. */
  readonly readAtMs?: number;
  /** Why the last reading failed, for an operator; absent after one that succeeded. Holds no secret. */
  readonly error?: string;
}
