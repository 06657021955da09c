/** Decides, from what the volumes hold, what compaction does next. Pure. */
import { COPY_KEY_BYTES } from "../copy-key.ts";
import type { VolumeContent } from "./index-entries.ts";
import { recordBytes, TOMBSTONE_KEYS_MAX } from "./layout.ts";
import type { VolumeLimits } from "./limits.ts";
import type { Lane } from "./volume-set.ts";

export interface CompactableVolume extends VolumeContent {
  readonly number: number;
  /** Bytes from the first record to the end of the last. */
  readonly bytes: number;
  /** Only a sealed one can be compacted; one that a lane appends to can be taken out of it. */
  readonly state: Lane | "sealed" | "other";
  /** Read at the moment. */
  readonly inUse: boolean;
  /** Nothing has changed in it since the last attempt, which left something behind. */
  readonly stuck: boolean;
  /** So much was removed elsewhere that its tombstones are worth a look: most of them may not be wanted any more. */
  readonly oldTombstones: boolean;
}

export interface PlanRequest {
  readonly volumes: readonly CompactableVolume[];
  /** The highest number in use: that volume is never removed. */
  readonly lastNumber: number;
  readonly disk: { readonly totalBytes: number; readonly freeBytes: number };
  /** Bytes of the disk that have to stay free. */
  readonly reserveBytes: number;
  readonly limits: Pick<
    VolumeLimits,
    "compactionDeadPercent" | "compactionDeadPercentLow" | "compactionLowFreePercent" | "compactionOpenDeadBytesMin"
  >;
}

export type CompactionStep =
  /** Nothing of it is wanted. */
  | { readonly kind: "remove"; readonly volume: number }
  /** What is wanted of it is to be appended anew. */
  | { readonly kind: "empty"; readonly volume: number }
  /** It takes no more records, so that it can be compacted. */
  | { readonly kind: "close"; readonly lane: Lane };

/** Bytes that a number of deletions takes in as few records as can be. */
export function tombstoneBytes(keys: number): number {
  const full = Math.floor(keys / TOMBSTONE_KEYS_MAX);
  const rest = keys % TOMBSTONE_KEYS_MAX;
  return (
    full * recordBytes(TOMBSTONE_KEYS_MAX * COPY_KEY_BYTES) + (rest === 0 ? 0 : recordBytes(rest * COPY_KEY_BYTES))
  );
}

/** Bytes that a volume would not need. */
export function deadBytes({ bytes, liveBytes, tombstones }: VolumeContent & { readonly bytes: number }): number {
  return Math.max(0, bytes - liveBytes - tombstoneBytes(tombstones));
}

/** What to do next, undefined when there is nothing. */
export function planCompaction(request: PlanRequest): CompactionStep | undefined {
  const { volumes, lastNumber, disk, reserveBytes, limits } = request;
  const sealed = volumes.filter(({ number, state }) => state === "sealed" && number < lastNumber);
  const empty = sealed.find((volume) => isEmpty(volume) && !volume.inUse);
  if (empty !== undefined) return { kind: "remove", volume: empty.number };

  const scarce = disk.freeBytes * 100 < disk.totalBytes * limits.compactionLowFreePercent;
  const shareMin = (scarce ? limits.compactionDeadPercentLow : limits.compactionDeadPercent) / 100;
  // A volume is emptied before it gives anything back.
  const room = disk.freeBytes - reserveBytes;
  const worst = sealed
    .filter((volume) => !isEmpty(volume) && !volume.stuck && volume.bytes - deadBytes(volume) <= room)
    .filter((volume) => worth(volume) >= shareMin)
    .toSorted((a, b) => worth(b) - worth(a))
    .at(0);
  if (worst !== undefined) return { kind: "empty", volume: worst.number };

  for (const volume of volumes) {
    const { state: lane } = volume;
    if (lane !== "small" && lane !== "large") continue;
    const open = worth(volume);
    if (open >= shareMin && open * volume.bytes >= limits.compactionOpenDeadBytesMin) return { kind: "close", lane };
  }
  return undefined;
}

function isEmpty({ liveBytes, tombstones }: VolumeContent): boolean {
  return liveBytes === 0 && tombstones === 0;
}

/** The share of a volume that may come back. */
function worth(volume: CompactableVolume): number {
  if (volume.bytes === 0) return 0;
  const tombstones = volume.oldTombstones ? tombstoneBytes(volume.tombstones) : 0;
  return Math.min(1, (deadBytes(volume) + tombstones) / volume.bytes);
}
