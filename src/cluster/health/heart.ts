/** Makes a node's heartbeat: what it tells of itself at each tick of its clock. */

import type { TopologyNode } from "../../placement/topology.ts";
import type { Clock } from "../../shared/clock.ts";
import type { NodeHandle } from "../node-handle.ts";
import type { DiskHealth, Heartbeat } from "./heartbeat.ts";

export class Heart {
  readonly #handle: NodeHandle;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #last: Heartbeat | undefined;
  #running = false;
  #callsBefore: { readonly calls: number; readonly atMs: number } | undefined;

  constructor(handle: NodeHandle, clock: Clock) {
    this.#handle = handle;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** The last one; `undefined` before the first. */
  get last(): Heartbeat | undefined {
    return this.#last;
  }

  /** Asks the node for what it tells; one that does not answer keeps its last heartbeat, with its time. */
  async beat(spec: TopologyNode, diskHealth: () => DiskHealth, signal: AbortSignal): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const capacity = await this.#handle.node.capacity(signal);
      const embedded = this.#handle.embedded === true;
      const figures = this.#handle.toldFigures?.();
      this.#last = {
        workerId: spec.uuid,
        atMs: this.#clock.nowMs(),
        storage: {
          capacity: capacity ?? figures?.capacity,
          // What an operator says of a disk comes before what the machine does.
          diskType: spec.diskType === "unknown" ? (figures?.diskType ?? "unknown") : spec.diskType,
          // Nothing here asks a disk for its model.
          diskModel: undefined,
          ioUtilization: figures?.ioUtilization,
          iopsCurrent: this.#callsPerSecond(),
        },
        isMaster: false,
        uptimeSeconds: embedded ? Math.floor((this.#clock.monotonicMs() - this.#startedMs) / 1000) : undefined,
        diskHealth: diskHealth(),
      };
    } catch {
      // Its probes say what is the matter.
    } finally {
      this.#running = false;
    }
  }

  #callsPerSecond(): number | undefined {
    const signs = this.#handle.signs?.();
    if (signs === undefined) return undefined;
    const atMs = this.#clock.monotonicMs();
    const before = this.#callsBefore;
    this.#callsBefore = { calls: signs.calls, atMs };
    if (before === undefined || atMs <= before.atMs) return undefined;
    return Math.round((10_000 * (signs.calls - before.calls)) / (atMs - before.atMs)) / 10;
  }
}
