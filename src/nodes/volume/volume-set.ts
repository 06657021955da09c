/**
 * The volume files of a node: which take appends, which are closed, and the one made ahead so that no creation of a
 * file lies in the path of a write.
 *
 * Small and large records go to volumes of their own. Small ones share a write and a sync with their neighbours and
 * would otherwise wait for the bulk of large ones to reach the disk.
 */
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import { NodeError } from "../storage-node.ts";
import type { FileSystem } from "./file-system.ts";
import type { VolumeState } from "./index-entries.ts";
import { DATA_START, encodeSuperblock, newMarker, SUPERBLOCK_OFFSETS, type Superblock } from "./layout.ts";
import type { VolumeLimits } from "./limits.ts";
import { OpenFiles } from "./open-files.ts";
import { Volume } from "./volume.ts";
import type { VolumeLog } from "./volume-log.ts";

export type Lane = "small" | "large";

const NEW_SUFFIX = ".new";
export const VOLUME_NAME = /^([0-9a-f]{8})\.vol$/;

export function volumePath(folder: string, number: number): string {
  return join(folder, `${number.toString(16).padStart(8, "0")}.vol`);
}

/** Whether this is a volume that was being made when the process ended. It holds nothing. */
export function isUnfinishedVolume(name: string): boolean {
  return name.endsWith(`.vol${NEW_SUFFIX}`);
}

export interface VolumeSetOptions {
  readonly folder: string;
  readonly fileSystem: FileSystem;
  readonly clusterId: Id;
  readonly storeId: Id;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: VolumeLimits;
  readonly log: VolumeLog;
}

/** A volume that takes no more records. */
export interface ClosedVolume {
  readonly superblock: Superblock;
  readonly end: number;
  /** False where it could not be read to its end. */
  readonly sealed: boolean;
}

/** How far a volume is used. */
export interface VolumeExtent {
  readonly number: number;
  /** Bytes from the first record to the end of the last. */
  readonly bytes: number;
  readonly state: Lane | "sealed" | "other";
  readonly marker: Uint8Array;
}

export class VolumeSet {
  readonly files: OpenFiles;
  readonly #options: VolumeSetOptions;
  readonly #appendable: Volume[] = [];
  readonly #closed = new Map<number, ClosedVolume>();
  /** Are being removed: the index is not to know them any more. */
  readonly #leaving = new Set<number>();
  /** Taken out of its lane, not sealed yet. */
  readonly #retiring = new Map<number, Volume>();
  readonly #lanes = new Map<Lane, Volume>();
  readonly #advancing = new Map<Lane, Promise<void>>();
  readonly #sealing = new Map<number, Promise<void>>();
  #spare: Promise<Volume> | undefined;
  #lastNumber = 0;

  constructor(options: VolumeSetOptions) {
    this.#options = options;
    this.files = new OpenFiles({
      fileSystem: options.fileSystem,
      pathOf: (number) => volumePath(options.folder, number),
      filesMax: options.limits.openFilesMax,
    });
  }

  /** Numbers up to this one are not used for new volumes. */
  skipNumber(number: number): void {
    this.#lastNumber = Math.max(this.#lastNumber, number);
  }

  addClosed(volume: ClosedVolume): void {
    this.#closed.set(volume.superblock.volumeNumber, volume);
    this.skipNumber(volume.superblock.volumeNumber);
  }

  /** A volume from before that still takes records. */
  addAppendable(volume: Volume): void {
    this.#appendable.push(volume);
    this.skipNumber(volume.number);
    this.files.pin(volume.number, volume.file);
  }

  /** Gives the lanes their volumes, making those that lack. @throws NodeError, or what the file system throws */
  async start(): Promise<void> {
    // What was made ahead before holds nothing: it goes in last, and only it may be a spare.
    const [small, large, ...rest] = this.#appendable.toSorted((a, b) => Number(a.empty) - Number(b.empty));
    this.#lanes.set("small", small ?? (await this.#create()));
    this.#lanes.set("large", large ?? (await this.#create()));
    for (const volume of rest) {
      if (volume.empty && this.#spare === undefined) this.#spare = Promise.resolve(volume);
      else this.#retire(volume);
    }
    for (const volume of this.#lanes.values()) this.files.pin(volume.number, volume.file);
    this.#appendable.length = 0;
    this.#makeSpare();
  }

  /**
   * The volume of the lane, with room for this many bytes of records.
   * @throws NodeError, `full` above all, when a new one could not be made
   */
  async volumeFor(lane: Lane, bytes: number): Promise<Volume> {
    for (;;) {
      const volume = this.#lanes.get(lane);
      if (volume === undefined) throw new NodeError("unreachable", "the volumes are not open");
      if (volume.room >= bytes) return volume;
      await this.#advance(lane, volume);
    }
  }

  /** Up to where each volume is settled now, for the index. */
  states(): Map<number, VolumeState> {
    const states = new Map<number, VolumeState>();
    for (const [number, { superblock, end }] of this.#closed) {
      if (this.#leaving.has(number)) continue;
      states.set(number, { settledEnd: end, marker: superblock.marker });
    }
    for (const volume of [...this.#retiring.values(), ...this.#lanes.values()]) {
      states.set(volume.number, { settledEnd: volume.settledEnd, marker: volume.superblock.marker });
    }
    return states;
  }

  /** The marker and the end of the records of a volume, undefined when there is no such volume. */
  find(number: number): { readonly marker: Uint8Array; readonly end: number } | undefined {
    const closed = this.#closed.get(number);
    if (closed !== undefined) return { marker: closed.superblock.marker, end: closed.end };
    const open = [...this.#lanes.values(), ...this.#retiring.values()].find((volume) => volume.number === number);
    return open === undefined ? undefined : { marker: open.superblock.marker, end: open.tail };
  }

  has(number: number): boolean {
    return this.find(number) !== undefined;
  }

  extents(): VolumeExtent[] {
    const closed = [...this.#closed].map(([number, { superblock, end, sealed }]) => ({
      number,
      bytes: end - DATA_START,
      state: sealed ? ("sealed" as const) : ("other" as const),
      marker: superblock.marker,
    }));
    const open = (volume: Volume, state: Lane | "other"): VolumeExtent => ({
      number: volume.number,
      bytes: volume.tail - DATA_START,
      state,
      marker: volume.superblock.marker,
    });
    const retiring = [...this.#retiring.values()].map((volume) => open(volume, "other"));
    return [...closed, ...retiring, ...[...this.#lanes].map(([lane, volume]) => open(volume, lane))];
  }

  /** Whether a write failed in a volume that is still here, so that it may hold records that nobody knows of. */
  get doubtful(): boolean {
    return [...this.#lanes.values(), ...this.#retiring.values()].some((volume) => volume.doubtful);
  }

  /**
   * The highest number of a volume so far. The volume that has it stays, so that no number is used twice: a deletion
   * knows by their numbers which volumes hold records of its key.
   */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /**
   * Has the lane take another volume; resolves when the one that it had is sealed, or cannot be: puts into it end first.
   * @throws NodeError, `full` above all, or what the file system throws
   */
  async rotate(lane: Lane): Promise<void> {
    const volume = this.#lanes.get(lane);
    if (volume === undefined) return;
    await this.#advance(lane, volume);
    await this.#sealing.get(volume.number);
  }

  /**
   * Removes a sealed volume that the index does not refer to and nobody reads; durable when it resolves.
   * @param forget makes the index durable without this volume
   * @throws what `forget` or the file system throws; the volume is still known then and can be removed again
   */
  async remove(number: number, forget: () => Promise<void>): Promise<void> {
    const { folder, fileSystem } = this.#options;
    this.#leaving.add(number);
    try {
      await forget();
      await this.files.closeVolume(number);
      await fileSystem.remove(volumePath(folder, number));
      await fileSystem.syncFolder(folder);
      this.#closed.delete(number);
    } finally {
      this.#leaving.delete(number);
    }
  }

  /** Ends what is done in the background and closes all files. No write or read is under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#sealing.values());
    const spare = await this.#spare?.catch(() => undefined);
    await spare?.file.close();
    await this.files.close();
  }

  #advance(lane: Lane, from: Volume): Promise<void> {
    const advancing = this.#advancing.get(lane) ?? this.#replace(lane, from);
    this.#advancing.set(lane, advancing);
    return advancing;
  }

  async #replace(lane: Lane, from: Volume): Promise<void> {
    try {
      const next = await this.#takeSpare();
      this.files.pin(next.number, next.file);
      this.#lanes.set(lane, next);
      this.#retire(from);
    } finally {
      this.#advancing.delete(lane);
    }
    this.#makeSpare();
  }

  async #takeSpare(): Promise<Volume> {
    this.#makeSpare();
    const spare = this.#spare;
    // Both lanes may have waited for the same one.
    const volume = await spare;
    if (volume === undefined || this.#spare !== spare) return this.#takeSpare();
    this.#spare = undefined;
    return volume;
  }

  #makeSpare(): void {
    if (this.#spare !== undefined) return;
    const spare = this.#create();
    this.#spare = spare;
    spare.catch((error: unknown) => {
      if (this.#spare === spare) this.#spare = undefined;
      this.#options.log.warn({ err: error }, "no volume could be made ahead");
    });
  }

  async #create(): Promise<Volume> {
    const { folder, fileSystem, clusterId, storeId, clock, random, limits } = this.#options;
    const number = ++this.#lastNumber;
    const superblock = {
      clusterId,
      storeId,
      volumeNumber: number,
      marker: newMarker(random),
      createdAtMs: clock.nowMs(),
    };
    const path = volumePath(folder, number);
    const made = path + NEW_SUFFIX;
    await fileSystem.remove(made);
    const file = await fileSystem.open(made, "create");
    try {
      const bytes = encodeSuperblock(superblock);
      for (const offset of SUPERBLOCK_OFFSETS) await file.write([bytes], offset);
      const volume = new Volume({ superblock, path, file, tail: DATA_START, volumeBytes: limits.volumeBytes });
      // Synced with the superblocks. Deletions find room in it even when the disk has none.
      await volume.prepare(Math.max(limits.prepareStepBytes, limits.deleteReserveBytes));
      await fileSystem.rename(made, path);
      await fileSystem.syncFolder(folder);
      return volume;
    } catch (error) {
      await file.close();
      await fileSystem.remove(made).catch(() => {});
      throw error;
    }
  }

  #retire(volume: Volume): void {
    volume.retire();
    this.#retiring.set(volume.number, volume);
    const sealing = this.#seal(volume).finally(() => this.#sealing.delete(volume.number));
    this.#sealing.set(volume.number, sealing);
  }

  async #seal(volume: Volume): Promise<void> {
    const { log } = this.#options;
    try {
      await volume.idle();
      await volume.seal();
      this.addClosed({ superblock: volume.superblock, end: volume.tail, sealed: true });
      this.#retiring.delete(volume.number);
      this.files.unpin(volume.number);
      log.info({ volume: volume.path, bytes: volume.tail }, "a volume is complete");
    } catch (error) {
      // It stays readable, and the next start looks at what it holds.
      log.warn({ err: error, volume: volume.path }, "a volume takes no more records and could not be sealed");
    }
  }
}
