import { DATA_START, HEADER_BYTES, recordBytes, TOMBSTONE_KEYS_MAX } from "./layout.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export interface VolumeLimits {
  /** A volume file is closed before it grows beyond this. */
  readonly volumeBytes: number;
  /** Blobs up to this length are kept in memory until whole and appended in batches; larger ones are streamed. */
  readonly smallBlobBytesMax: number;
  /** Bytes that one batch writes before its sync. */
  readonly batchBytesMax: number;
  /** Bytes of small records waiting for a batch; beyond it puts are answered `busy`. */
  readonly queuedBytesMax: number;
  /** Zeros are written ahead in steps of this, so that a sync of small records changes no metadata of the file. */
  readonly prepareStepBytes: number;
  /** Zeros that lie ready ahead of the last small record. */
  readonly preparedBytesMin: number;
  /** Of the prepared bytes, left to deletions: they succeed on a disk that is full. */
  readonly deleteReserveBytes: number;
  /** Puts are answered `full` rather than leave the disk with less than this: deletions and the index need room. */
  readonly freeReserveBytes: number;
  /** A large blob is synced in the background whenever this much of it was written, so that its end need not wait. */
  readonly syncEveryBytes: number;
  /** Changes of the index kept in memory before they are written. */
  readonly checkpointEntries: number;
  /** The index is written this long after its first unwritten change. */
  readonly checkpointDelayMs: number;
  /** Unwritten changes of the index at which puts and deletes fail, when writing it fails. */
  readonly unwrittenEntriesMax: number;
  /** Volume files held open for reading. */
  readonly openFilesMax: number;
  /** Time between two looks for volumes to compact; 0: never. */
  readonly compactionIntervalMs: number;
  /** A volume is compacted when this share of its bytes is dead, in percent. */
  readonly compactionDeadPercent: number;
  /** The same while less than `compactionLowFreePercent` of the disk is free. */
  readonly compactionDeadPercentLow: number;
  readonly compactionLowFreePercent: number;
  /** A volume that still takes records is closed to be compacted only for this many dead bytes. */
  readonly compactionOpenDeadBytesMin: number;
  /** Bytes that compaction reads and writes in a second; 0: no limit. */
  readonly compactionBytesPerSecond: number;
  /** While calls are under way compaction goes slower by this factor. */
  readonly compactionBusyFactor: number;
  /** Bytes of small records that compaction has under way: no more than this waits ahead of a put. */
  readonly compactionInflightBytes: number;
}

export const VOLUME_LIMITS: VolumeLimits = {
  volumeBytes: GIB,
  smallBlobBytesMax: 64 * KIB,
  batchBytesMax: 8 * MIB,
  queuedBytesMax: 64 * MIB,
  prepareStepBytes: MIB,
  preparedBytesMin: 8 * MIB,
  deleteReserveBytes: 256 * KIB,
  freeReserveBytes: 64 * MIB,
  syncEveryBytes: 16 * MIB,
  checkpointEntries: 10_000,
  checkpointDelayMs: 2_000,
  unwrittenEntriesMax: 200_000,
  openFilesMax: 128,
  compactionIntervalMs: 10_000,
  compactionDeadPercent: 25,
  compactionDeadPercentLow: 5,
  compactionLowFreePercent: 10,
  compactionOpenDeadBytesMin: 8 * MIB,
  compactionBytesPerSecond: 128 * MIB,
  compactionBusyFactor: 4,
  compactionInflightBytes: MIB,
};

const VOLUME_BYTES_MIN = MIB;
const VOLUME_BYTES_MAX = 1024 * GIB;

/** @throws RangeError naming the limit, when they contradict each other */
export function checkLimits(limits: VolumeLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} is no whole number`);
  }
  const { volumeBytes, smallBlobBytesMax, prepareStepBytes, deleteReserveBytes } = limits;
  const { compactionDeadPercent, compactionDeadPercentLow, compactionBusyFactor } = limits;
  if (volumeBytes < VOLUME_BYTES_MIN || volumeBytes > VOLUME_BYTES_MAX) {
    throw new RangeError(`volumeBytes is outside ${VOLUME_BYTES_MIN} to ${VOLUME_BYTES_MAX}`);
  }
  if (recordBytes(smallBlobBytesMax) > blobRoom(limits)) {
    throw new RangeError("smallBlobBytesMax does not fit in a volume");
  }
  // With 0 volumes of which everything lives would be written anew for ever.
  if (compactionDeadPercentLow < 1 || compactionDeadPercent < 1) throw new RangeError("a dead percentage is zero");
  if (compactionBusyFactor < 1) throw new RangeError("compactionBusyFactor is zero");
  if (prepareStepBytes < 1) throw new RangeError("prepareStepBytes is zero");
  if (deleteReserveBytes < recordBytes(TOMBSTONE_KEYS_MAX * 20)) {
    throw new RangeError("deleteReserveBytes holds no record of deletions");
  }
}

/** Bytes of records that an empty volume takes besides its seal and the reserve of deletions. */
export function blobRoom({ volumeBytes, deleteReserveBytes }: VolumeLimits): number {
  return volumeBytes - DATA_START - recordBytes(0) - deleteReserveBytes;
}

/** The longest blob that a volume takes. */
export function blobBytesMax(limits: VolumeLimits): number {
  // The trailer has four bytes a block of 256 KiB; one part in 65,536 and a little is more than enough for it.
  const room = blobRoom(limits) - HEADER_BYTES - KIB;
  return room - Math.ceil(room / 65_536);
}
