import type { Clock, Timer } from "../../shared/clock.ts";
import { NodeError } from "../storage-node.ts";
import type { VolumeLimits } from "./limits.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeIndex } from "./volume-index.ts";
import type { VolumeLog } from "./volume-log.ts";
import type { VolumeSet } from "./volume-set.ts";

export interface CheckpointerOptions {
  readonly index: VolumeIndex;
  readonly volumes: VolumeSet;
  readonly clock: Clock;
  readonly limits: VolumeLimits;
  readonly log: VolumeLog;
}

/** Writes the index's changes some time after the first of them, or when there are many. */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #failure: NodeError | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** To be called before a change is begun. @throws NodeError when too many could not be written */
  admit(): void {
    const { index, limits } = this.#options;
    if (this.#failure !== undefined && index.unwritten >= limits.unwrittenEntriesMax) {
      throw new NodeError(this.#failure.kind, "the index of the node could not be written", { cause: this.#failure });
    }
  }

  /** To be called after a change of the index. */
  changed(): void {
    const { index, limits, clock } = this.#options;
    // After a failure the timer alone tries again.
    if (index.unwritten >= limits.checkpointEntries && this.#failure === undefined) this.#start();
    this.#timer ??= clock.startTimer(limits.checkpointDelayMs, () => {
      this.#timer = undefined;
      this.#start();
    });
  }

  /** Resolves when all changes made before the call are durable in the index. @throws NodeError */
  async flush(): Promise<void> {
    // One that is being written began before some of them.
    await this.#writing;
    this.#start();
    await this.#writing;
    if (this.#failure !== undefined) {
      throw new NodeError(this.#failure.kind, "the index of the node could not be written", { cause: this.#failure });
    }
  }

  /** Writes what is left. No change is under way or follows. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#timer?.stop();
    await this.#write();
    await this.#options.index.close();
  }

  #start(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#options.index.unwritten > 0) this.changed();
    });
  }

  async #write(): Promise<void> {
    const { index, volumes, log } = this.#options;
    try {
      await index.checkpoint(volumes.states());
      this.#failure = undefined;
    } catch (error) {
      this.#failure = toNodeError(error, "the index of the node could not be written");
      log.warn({ err: error }, "the index of the node could not be written; its changes are kept in memory");
    }
  }
}
