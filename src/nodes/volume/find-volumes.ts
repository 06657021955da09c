import { join } from "node:path";
import type { Id } from "../../shared/ids.ts";
import { NodeError } from "../storage-node.ts";
import type { FileSystem, VolumeFile } from "./file-system.ts";
import {
  DATA_START,
  decodeSuperblock,
  encodeSuperblock,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_OFFSETS,
  type Superblock,
  UnknownFormatError,
} from "./layout.ts";
import { toNodeError } from "./volume-errors.ts";
import type { VolumeLog } from "./volume-log.ts";
import { isUnfinishedVolume, VOLUME_NAME } from "./volume-set.ts";

/** In the node's folder. */
export const VOLUMES_FOLDER = "volumes";

export interface FoundVolume {
  readonly superblock: Superblock;
  readonly path: string;
  readonly size: number;
}

export interface FindVolumesRequest {
  readonly folder: string;
  readonly fileSystem: FileSystem;
  readonly clusterId: Id;
  readonly log: VolumeLog;
}

export interface FoundVolumes {
  /** By number. */
  readonly found: FoundVolume[];
  /** Paths of volumes of which neither superblock can be read; others may join them. */
  readonly unreadable: string[];
  /** The highest number in use. */
  readonly lastNumber: number;
}

/** Superblocks read at the same time. */
const CONCURRENCY = 8;

/** @throws NodeError `refused` when a volume is another cluster's, another node's or of a later format */
export async function findVolumes(request: FindVolumesRequest): Promise<FoundVolumes> {
  const { folder, fileSystem } = request;
  const numbers: number[] = [];
  for (const name of await fileSystem.list(folder)) {
    const number = VOLUME_NAME.exec(name)?.[1];
    if (number !== undefined) numbers.push(Number.parseInt(number, 16));
    else if (isUnfinishedVolume(name)) await fileSystem.remove(join(folder, name));
  }
  numbers.sort((a, b) => a - b);
  const found: FoundVolume[] = [];
  const unreadable: string[] = [];
  for (let at = 0; at < numbers.length; at += CONCURRENCY) {
    const batch = numbers.slice(at, at + CONCURRENCY);
    for (const volume of await Promise.all(batch.map((number) => findVolume(request, number)))) {
      if (typeof volume === "string") unreadable.push(volume);
      else found.push(volume);
    }
  }
  const storeId = found[0]?.superblock.storeId;
  const stranger = found.find(({ superblock }) => superblock.storeId !== storeId);
  if (stranger !== undefined) throw new NodeError("refused", `${stranger.path} is a volume of another node`);
  return { found, unreadable, lastNumber: numbers.at(-1) ?? 0 };
}

/** The path alone when it cannot be read. */
async function findVolume(request: FindVolumesRequest, number: number): Promise<FoundVolume | string> {
  const { folder, fileSystem, clusterId, log } = request;
  const path = join(folder, `${number.toString(16).padStart(8, "0")}.vol`);
  let superblock: Superblock | undefined;
  let size = 0;
  try {
    const file = await fileSystem.open(path, "read-write");
    try {
      size = await file.size();
      superblock = await readSuperblock(file, path, log);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UnknownFormatError) throw new NodeError("refused", `${path}: ${error.message}`);
    const failure = toNodeError(error, `${path} cannot be read`);
    if (failure.kind !== "io") throw failure;
    log.warn({ err: error, volume: path }, "a volume cannot be read");
    return path;
  }
  if (superblock === undefined) {
    log.warn({ volume: path }, "neither superblock of a volume is whole");
    return path;
  }
  if (superblock.clusterId !== clusterId) throw new NodeError("refused", `${path} is a volume of another cluster`);
  if (superblock.volumeNumber !== number)
    throw new NodeError("refused", `${path} is volume ${superblock.volumeNumber}`);
  return { superblock, path, size };
}

/** From the first copy that is whole; the other is made whole again. */
async function readSuperblock(file: VolumeFile, path: string, log: VolumeLog): Promise<Superblock | undefined> {
  const bytes = new Uint8Array(DATA_START);
  await file.read(bytes, 0);
  const copies = SUPERBLOCK_OFFSETS.map((at) => decodeSuperblock(bytes.subarray(at, at + SUPERBLOCK_BYTES)));
  const whole = copies[0] ?? copies[1];
  if (whole === undefined) return undefined;
  for (const [i, offset] of SUPERBLOCK_OFFSETS.entries()) {
    if (copies[i] !== undefined) continue;
    log.warn({ volume: path, copy: i + 1 }, "a copy of a superblock was damaged and is restored from the other");
    await file.write([encodeSuperblock(whole)], offset);
    await file.datasync();
  }
  return whole;
}
