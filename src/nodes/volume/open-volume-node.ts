/**
 * Opens a volume node: reads the superblocks, brings the index up to date from the volumes (all of them when it is
 * lost, damaged or another node's), cuts what a crash left behind the last whole record, and goes on from there.
 */
import { join, resolve } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { type Id, idFromBytes } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import { NodeLifetime } from "../node-lifetime.ts";
import { NodeError } from "../storage-node.ts";
import { Checkpointer } from "./checkpointer.ts";
import { type FileSystem, nodeFileSystem } from "./file-system.ts";
import { type FoundVolume, findVolumes, VOLUMES_FOLDER } from "./find-volumes.ts";
import { checkLimits, VOLUME_LIMITS, type VolumeLimits } from "./limits.ts";
import { LMDB_FILES, openLmdbIndexStore } from "./lmdb-index-store.ts";
import { replayVolumes } from "./replay.ts";
import { toNodeError } from "./volume-errors.ts";
import { type IndexStore, VolumeIndex } from "./volume-index.ts";
import { silentLog, type VolumeLog } from "./volume-log.ts";
import { VolumeNode } from "./volume-node.ts";
import { VolumeSet } from "./volume-set.ts";

export interface VolumeNodeOptions {
  readonly name: string;
  /** The node's folder; made where it is absent. One process at a time: the caller holds a lock. */
  readonly path: string;
  /** Where the index lies, `index` in the node's folder by default. May be on another disk. */
  readonly indexPath?: string;
  readonly clusterId: Id;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: VolumeLog;
  readonly limits?: Partial<VolumeLimits>;
  /** For tests. */
  readonly fileSystem?: FileSystem;
  /** For tests. Opens or creates the index's store; the folder exists. */
  readonly openIndexStore?: (folder: string) => IndexStore;
}

/** Two nodes over the same files would destroy each other's; a mistake in the configuration makes it easy. */
const foldersInUse = new WeakMap<FileSystem, Set<string>>();

function indexFolder({ path, indexPath }: VolumeNodeOptions): string {
  return indexPath ?? join(path, "index");
}

/**
 * @throws NodeError naming the path: `refused` where the volumes are another cluster's, `access-denied`, `read-only`,
 *   `full` and so on where the folder cannot be used
 * @throws RangeError when the limits contradict each other
 */
export async function openVolumeNode(options: VolumeNodeOptions): Promise<VolumeNode> {
  const limits = { ...VOLUME_LIMITS, ...options.limits };
  checkLimits(limits);
  const release = claimFolders(options);
  try {
    return await open(options, limits, release);
  } catch (error) {
    release();
    throw openError(options, error);
  }
}

/** @returns gives them back */
function claimFolders(options: VolumeNodeOptions): () => void {
  const { path, fileSystem = nodeFileSystem } = options;
  const inUse = foldersInUse.get(fileSystem) ?? new Set();
  foldersInUse.set(fileSystem, inUse);
  const folders = [resolve(path), resolve(indexFolder(options))];
  if (folders.some((folder) => inUse.has(folder))) {
    throw openError(options, new NodeError("refused", "another node of this process uses its folder or its index"));
  }
  for (const folder of folders) inUse.add(folder);
  return () => {
    for (const folder of folders) inUse.delete(folder);
  };
}

function openError({ name, path }: VolumeNodeOptions, error: unknown): NodeError {
  const { kind, message } = toNodeError(error, "the file system refuses");
  return new NodeError(kind, `the volume node ${name} at ${path} cannot be opened: ${message}`, { cause: error });
}

async function open(options: VolumeNodeOptions, limits: VolumeLimits, released: () => void): Promise<VolumeNode> {
  const { name, path, clusterId, clock, random, logger: log = silentLog, fileSystem = nodeFileSystem } = options;
  const folder = join(path, VOLUMES_FOLDER);
  await fileSystem.makeFolder(folder);
  const { found, unreadable, lastNumber } = await findVolumes({ folder, fileSystem, clusterId, log });
  const storeId = found[0]?.superblock.storeId ?? idFromBytes(random.bytes(16));
  const volumes = new VolumeSet({ folder, fileSystem, clusterId, storeId, clock, random, limits, log });
  volumes.skipNumber(lastNumber);
  const index = await openIndex(options, storeId, found);
  try {
    await replayVolumes({ found, fileSystem, index, volumes, limits, log, unreadable });
    await volumes.start();
  } catch (error) {
    await volumes.close();
    await index.close();
    throw error;
  }
  const checkpointer = new Checkpointer({ index, volumes, clock, limits, log });
  return new VolumeNode({
    name,
    path,
    indexPath: indexFolder(options),
    clusterId,
    fileSystem,
    limits,
    lifetime: new NodeLifetime(name),
    volumes,
    index,
    checkpointer,
    clock,
    log,
    unreadable,
    released,
  });
}

/** The index, emptied first when it does not fit the volumes. */
async function openIndex(options: VolumeNodeOptions, storeId: Id, found: readonly FoundVolume[]): Promise<VolumeIndex> {
  const { fileSystem = nodeFileSystem, logger: log = silentLog, openIndexStore = openLmdbIndexStore } = options;
  const folder = indexFolder(options);
  const attempt = async (): Promise<VolumeIndex> => {
    await fileSystem.makeFolder(folder);
    const store = openIndexStore(folder);
    try {
      const index = new VolumeIndex(store, storeId);
      checkFits(index, found);
      return index;
    } catch (error) {
      await store.close();
      throw error;
    }
  };
  try {
    return await attempt();
  } catch (error) {
    log.warn({ err: error, index: folder }, "the index does not serve and is made anew from the volumes");
    // Only its own files: the folder was named by somebody and may hold other things.
    for (const file of LMDB_FILES) await fileSystem.remove(join(folder, file));
    return attempt();
  }
}

/** @throws RangeError when the index claims what the volumes do not hold */
function checkFits(index: VolumeIndex, found: readonly FoundVolume[]): void {
  const byNumber = new Map(found.map((volume) => [volume.superblock.volumeNumber, volume]));
  for (const [number, { settledEnd, marker }] of index.storedVolumes) {
    const volume = byNumber.get(number);
    if (volume === undefined || !Buffer.from(volume.superblock.marker).equals(marker) || volume.size < settledEnd) {
      throw new RangeError(`the index knows a volume ${number} that is not there`);
    }
  }
}
