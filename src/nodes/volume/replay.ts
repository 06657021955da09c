import { toError } from "../../shared/errors.ts";
import type { FileSystem, VolumeFile } from "./file-system.ts";
import type { FoundVolume } from "./find-volumes.ts";
import type { VolumeState } from "./index-entries.ts";
import {
  ALIGN_BYTES,
  DATA_START,
  decodeHeader,
  HEADER_BYTES,
  RECORD_BLOB,
  RECORD_SEAL,
  recordBytes,
} from "./layout.ts";
import type { VolumeLimits } from "./limits.ts";
import { type ScannedRecord, scanVolume } from "./scan.ts";
import { Volume } from "./volume.ts";
import type { VolumeIndex } from "./volume-index.ts";
import type { VolumeLog } from "./volume-log.ts";
import type { VolumeSet } from "./volume-set.ts";

export interface ReplayRequest {
  readonly found: readonly FoundVolume[];
  readonly fileSystem: FileSystem;
  readonly index: VolumeIndex;
  readonly volumes: VolumeSet;
  readonly limits: VolumeLimits;
  readonly log: VolumeLog;
  /** Volumes that turn out to be unreadable are added. */
  readonly unreadable: string[];
}

/**
 * Brings the index up to date with the volumes and hands these to the set: the sealed ones as closed, the others cut
 * behind their last whole record.
 */
export async function replayVolumes(request: ReplayRequest): Promise<void> {
  const { found, index, volumes, limits, unreadable, log } = request;
  const states = new Map<number, VolumeState>();
  for (const { superblock } of found) {
    const stored = index.storedVolumes.get(superblock.volumeNumber);
    states.set(superblock.volumeNumber, { settledEnd: stored?.settledEnd ?? DATA_START, marker: superblock.marker });
  }
  for (const volume of found) {
    const number = volume.superblock.volumeNumber;
    const from = states.get(number)?.settledEnd ?? DATA_START;
    try {
      await replayVolume(request, volume, from, async (record) => {
        enter(index, number, record);
        // What is entered so far is kept, and entered again without effect should the rest fail.
        if (index.unwritten >= limits.checkpointEntries) await index.checkpoint(states);
      });
    } catch (error) {
      log.warn({ err: toError(error), volume: volume.path }, "a volume cannot be read to its end");
      unreadable.push(volume.path);
      volumes.addClosed({ superblock: volume.superblock, end: from, sealed: false });
    }
  }
}

function enter(index: VolumeIndex, volume: number, { header, tombstones }: ScannedRecord): void {
  const { kind, key, offset, length, blobId } = header;
  if (kind === RECORD_BLOB) index.addBlob(key, { volume, offset, length, blobId });
  for (const buried of tombstones) index.bury(buried, volume);
}

async function replayVolume(
  request: ReplayRequest,
  volume: FoundVolume,
  from: number,
  found: (record: ScannedRecord) => Promise<void>,
): Promise<void> {
  const { superblock, path } = volume;
  const { fileSystem, volumes, limits, log } = request;
  const file = await fileSystem.open(path, "read-write");
  let taken = false;
  try {
    const sealedAt = await findSeal(file, superblock.marker, volume.size);
    if (sealedAt !== undefined && sealedAt <= from) {
      volumes.addClosed({ superblock, end: sealedAt, sealed: true });
      return;
    }
    const verifyBodies = sealedAt === undefined;
    const scanned = await scanVolume({ file, marker: superblock.marker, from, verifyBodies }, found);
    const { end, sealed, skippedBytes, torn } = scanned;
    if (skippedBytes > 0) log.info({ volume: path, skippedBytes }, "bytes of a volume belong to no whole record");
    // A later scan, which trusts the bodies of a sealed volume, must not take them for whole.
    if (torn.length > 0) log.warn({ volume: path, records: torn.length }, "records are torn and are made void");
    for (const offset of torn) await file.write([new Uint8Array(HEADER_BYTES)], offset);
    // Behind the last record lie parts of others; cutting them off makes it zero for what comes next.
    const cutAt = sealed ? end + recordBytes(0) : end;
    if (volume.size > cutAt) await file.truncate(cutAt);
    await file.datasync();
    if (sealed) {
      volumes.addClosed({ superblock, end, sealed: true });
      return;
    }
    volumes.addAppendable(new Volume({ superblock, path, file, tail: end, volumeBytes: limits.volumeBytes }));
    taken = true;
  } finally {
    if (!taken) await file.close();
  }
}

/** The offset of the seal that ends the file, if there is one. */
async function findSeal(file: VolumeFile, marker: Uint8Array, size: number): Promise<number | undefined> {
  const at = size - recordBytes(0);
  if (at < DATA_START || at % ALIGN_BYTES !== 0) return undefined;
  const bytes = new Uint8Array(HEADER_BYTES);
  await file.read(bytes, at);
  return decodeHeader(marker, bytes, at)?.kind === RECORD_SEAL ? at : undefined;
}
