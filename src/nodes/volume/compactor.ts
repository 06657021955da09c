/**
 * Gives the space of deleted blobs back. A sealed volume with much that is dead is emptied: what is wanted of it is
 * appended anew, checked and durable (empty-volume.ts). When the index is durable with the new places, refers to
 * nothing in the volume any more and nobody reads it, its file is removed. Whatever moment the process ends at, the next
 * start finds every record in at least one place.
 */
import type { Clock, Timer } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import { NodeError } from "../storage-node.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { type CompactableVolume, type CompactionStep, deadBytes, planCompaction } from "./compaction-plan.ts";
import { type EmptyVolumeParts, type EmptyVolumeReport, emptyVolume, moveReserveBytes } from "./empty-volume.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeLog } from "./volume-log.ts";
import type { VolumeExtent } from "./volume-set.ts";

export interface CompactorParts extends EmptyVolumeParts {
  readonly clock: Clock;
  readonly log: VolumeLog;
  readonly checkpointer: Checkpointer;
}

export interface CompactionProgress {
  /** Number of the volume. */
  readonly volume: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What compaction did since the node was opened. */
export interface CompactionTotals {
  /** Volumes that were read to be emptied. */
  readonly runs: number;
  /** Attempts that ended with an error. */
  readonly failures: number;
  readonly movedBytes: number;
  readonly removedVolumes: number;
  /** Bytes of the volumes that were removed. */
  readonly removedBytes: number;
  /** Records that did not match their checksums. They stay, and so does their volume. */
  readonly damagedRecords: number;
}

/** What a volume node's disk is used for. */
export interface VolumeUsage {
  readonly volumes: number;
  /** Bytes of records that hold live blobs. */
  readonly liveBytes: number;
  /** Bytes that compaction can give back, sooner or later. */
  readonly deadBytes: number;
  readonly compaction: CompactionTotals & { readonly running: CompactionProgress | undefined };
}

export class Compactor {
  readonly #parts: CompactorParts;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #progress: CompactionProgress | undefined;
  #totals: CompactionTotals = {
    runs: 0,
    failures: 0,
    movedBytes: 0,
    removedVolumes: 0,
    removedBytes: 0,
    damagedRecords: 0,
  };
  /** What volumes held when an attempt left something behind in them. */
  readonly #stuck = new Map<number, string>();
  /** Offsets of damaged records that were reported, by volume. */
  readonly #reported = new Map<number, Set<number>>();
  /** Bytes that came back in all, and the same when a volume was looked at first. */
  #gainedBytes = 0;
  readonly #gainedBefore = new Map<number, number>();

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /** Looks for volumes to compact now and then. */
  start(): void {
    const { clock, limits } = this.#parts;
    if (limits.compactionIntervalMs === 0 || this.#parts.lifetime.closed) return;
    this.#timer = clock.startTimer(limits.compactionIntervalMs, () => {
      void this.run().finally(() => this.start());
    });
  }

  /** Compacts what there is to be compacted now; what others fill and empty meanwhile is for the next run. Errors are logged. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** The node's lifetime has ended. Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#timer?.stop();
    await this.#running;
  }

  usage(): VolumeUsage {
    const volumes = this.#volumes();
    return {
      volumes: volumes.length,
      liveBytes: volumes.reduce((sum, { liveBytes }) => sum + liveBytes, 0),
      deadBytes: volumes.reduce((sum, volume) => sum + deadBytes(volume), 0),
      compaction: { ...this.#totals, running: this.#progress },
    };
  }

  async #run(): Promise<void> {
    const { lifetime, log, volumes } = this.#parts;
    const { lastNumber } = volumes;
    try {
      while (!lifetime.closed) {
        const step = await this.#next(lastNumber);
        if (step === undefined) return;
        await this.#take(step);
      }
    } catch (error) {
      if (lifetime.closed) return;
      this.#count({ failures: 1 });
      log.warn({ err: toError(error) }, "compaction of volumes failed and is tried again later");
    } finally {
      this.#progress = undefined;
    }
  }

  /** The next step among the volumes up to a number. */
  async #next(upTo: number): Promise<CompactionStep | undefined> {
    const { space, limits, volumes } = this.#parts;
    const disk = await space.disk();
    return planCompaction({
      volumes: this.#volumes().filter(({ number }) => number <= upTo),
      lastNumber: volumes.lastNumber,
      disk,
      reserveBytes: moveReserveBytes(limits),
      limits,
    });
  }

  #volumes(): CompactableVolume[] {
    const { volumes, index } = this.#parts;
    return volumes.extents().map((extent): CompactableVolume => {
      const { number, bytes, state } = extent;
      const content = index.content(number);
      if (!this.#gainedBefore.has(number)) this.#gainedBefore.set(number, this.#gainedBytes);
      return {
        number,
        bytes,
        state,
        ...content,
        inUse: volumes.files.inUse(number),
        stuck: this.#stuck.get(number) === this.#contentOf(number),
        oldTombstones: this.#gainedBytes - (this.#gainedBefore.get(number) ?? 0) >= bytes,
      };
    });
  }

  async #take(step: CompactionStep): Promise<void> {
    const { volumes } = this.#parts;
    if (step.kind === "close") {
      await volumes.rotate(step.lane);
      return;
    }
    const volume = volumes.extents().find(({ number }) => number === step.volume);
    if (volume === undefined) return;
    if (step.kind === "empty") await this.#empty(volume);
    else await this.#remove(volume);
  }

  async #empty(volume: VolumeExtent): Promise<void> {
    const { number, bytes } = volume;
    this.#count({ runs: 1 });
    try {
      const report = await emptyVolume(this.#parts, volume, (doneBytes) => {
        this.#progress = { volume: number, doneBytes, totalBytes: bytes };
      });
      this.#count({ movedBytes: report.movedBytes });
      this.#gainedBytes -= report.movedBytes;
      this.#judge(volume, report);
    } catch (error) {
      // A volume that cannot be read must not keep the others from their turn; no room, say, is not its fault.
      const unreadable = !(error instanceof NodeError) && toNodeError(error, "").kind === "io";
      if (unreadable) this.#stuck.set(number, this.#contentOf(number));
      throw error;
    }
  }

  /** Whatever the index still finds in the volume keeps it. */
  #judge({ number }: VolumeExtent, { damaged }: EmptyVolumeReport): void {
    const { log, index } = this.#parts;
    const reported = this.#reported.get(number) ?? new Set();
    this.#reported.set(number, reported);
    for (const { key, offset, error } of damaged) {
      if (reported.has(offset)) continue;
      reported.add(offset);
      this.#count({ damagedRecords: 1 });
      log.warn({ volume: number, offset, key, err: error }, "a copy is damaged; it stays until it is deleted");
    }
    const { liveBytes, tombstones } = index.content(number);
    if (liveBytes === 0 && tombstones === 0) return;
    this.#stuck.set(number, this.#contentOf(number));
    log.warn({ volume: number, liveBytes, tombstones }, "a volume could not be emptied and is kept");
  }

  async #remove({ number, bytes }: VolumeExtent): Promise<void> {
    const { volumes, checkpointer, index, log } = this.#parts;
    await volumes.remove(number, async () => {
      await checkpointer.flush();
      const { liveBytes, tombstones } = index.content(number);
      if (liveBytes > 0 || tombstones > 0 || volumes.files.inUse(number)) {
        throw new NodeError("busy", "the volume is used again");
      }
    });
    this.#stuck.delete(number);
    this.#reported.delete(number);
    this.#gainedBefore.delete(number);
    this.#gainedBytes += bytes;
    this.#count({ removedVolumes: 1, removedBytes: bytes });
    log.info({ volume: number, bytes }, "a volume was compacted and removed");
  }

  #contentOf(number: number): string {
    const { liveBytes, tombstones } = this.#parts.index.content(number);
    return `${liveBytes} ${tombstones}`;
  }

  #count(amounts: Partial<CompactionTotals>): void {
    const totals = this.#totals;
    this.#totals = {
      runs: totals.runs + (amounts.runs ?? 0),
      failures: totals.failures + (amounts.failures ?? 0),
      movedBytes: totals.movedBytes + (amounts.movedBytes ?? 0),
      removedVolumes: totals.removedVolumes + (amounts.removedVolumes ?? 0),
      removedBytes: totals.removedBytes + (amounts.removedBytes ?? 0),
      damagedRecords: totals.damagedRecords + (amounts.damagedRecords ?? 0),
    };
  }
}
