import type { NodeFigures } from "../nodes/node-figures.ts";
import type { StorageNode } from "../nodes/storage-node.ts";
import type { NodeSigns } from "../nodes/wrappers/live-signs.ts";

/** A node with what its wrappers know of it. */
export interface NodeHandle {
  readonly node: StorageNode;
  /** False while its circuit breaker keeps traffic away. */
  available(): boolean;
  /** False while it answered lately that it is full. */
  hasRoom(): boolean;
  loadScore(): number;
  /** Called when its circuit breaker opens. */
  onUnavailable(listener: () => void): void;
  /** What live traffic shows of it; absent where nobody looks. */
  signs?(): NodeSigns;
  /** How full and how busy it told that it is; absent where nobody asks it. */
  toldFigures?(): NodeFigures;
  /** Whether it runs in this process. */
  readonly embedded?: boolean;
}
