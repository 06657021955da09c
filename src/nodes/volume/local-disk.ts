/** The disk under a folder of this machine: its kind and how busy it is. What cannot be read is not known. */
import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { NodeFigures } from "../node-figures.ts";
import {
  type BusyReading,
  busyMs,
  type DeviceNumber,
  deviceNumber,
  diskTypeOf,
  type FoundDiskType,
  utilization,
} from "./disk-facts.ts";

/** What is asked of the system, so that tests can answer. Each may fail. */
export interface DiskSystem {
  /** `st_dev` of a path. */
  deviceOf(path: string): Promise<bigint>;
  readText(path: string): Promise<string>;
  realPath(path: string): Promise<string>;
}

export const linuxDisks: DiskSystem = {
  deviceOf: async (path) => (await stat(path, { bigint: true })).dev,
  readText: (path) => readFile(path, "utf8"),
  realPath: (path) => realpath(path),
};

interface FoundDevice {
  readonly number: DeviceNumber;
  readonly type: FoundDiskType | undefined;
}

export class LocalDisk {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #system: DiskSystem;
  #device: FoundDevice | undefined;
  #finding = false;
  #last: BusyReading | undefined;

  constructor(path: string, clock: Clock, system: DiskSystem = linuxDisks) {
    this.#path = path;
    this.#clock = clock;
    this.#system = system;
  }

  /**
   * How busy the disk was since the last call, and its kind. Never fails, and never waits for the disk: which one it is
   * is found out meanwhile, so that the first call may know nothing.
   */
  async figures(): Promise<Pick<NodeFigures, "diskType" | "ioUtilization">> {
    const device = this.#device;
    if (device === undefined) {
      void this.#find();
      return {};
    }
    const ioUtilization = await this.#utilization(device.number);
    return {
      ...(device.type === undefined ? {} : { diskType: device.type }),
      ...(ioUtilization === undefined ? {} : { ioUtilization }),
    };
  }

  /** A folder whose disk hangs is looked at once, not at every call. */
  async #find(): Promise<void> {
    if (this.#finding) return;
    this.#finding = true;
    try {
      const number = deviceNumber(await this.#system.deviceOf(this.#path));
      this.#device = { number, type: await this.#typeOf(number) };
    } catch {
      // Tried again at the next call.
    } finally {
      this.#finding = false;
    }
  }

  async #typeOf({ major, minor }: DeviceNumber): Promise<FoundDiskType | undefined> {
    if (major === 0) return undefined;
    try {
      const found = await this.#system.realPath(`/sys/dev/block/${major}:${minor}`);
      // A partition lies in the folder of its disk, and only the disk has a queue.
      for (const folder of [found, dirname(found)]) {
        const rotational = await this.#system.readText(join(folder, "queue", "rotational")).catch(() => undefined);
        if (rotational !== undefined) return diskTypeOf(basename(folder), rotational);
      }
    } catch {
      // No Linux, or a container that hides its devices.
    }
    return undefined;
  }

  async #utilization(number: DeviceNumber): Promise<number | undefined> {
    if (number.major === 0) return undefined;
    const text = await this.#system.readText("/proc/diskstats").catch(() => "");
    const busy = busyMs(text, number);
    if (busy === undefined) return undefined;
    const before = this.#last;
    this.#last = { atMs: this.#clock.monotonicMs(), busyMs: busy };
    return before === undefined ? undefined : utilization(before, this.#last);
  }
}
