/**
 * What Linux tells of disks, in the words of /sys/dev/block and /proc/diskstats.
 * https://www.kernel.org/doc/Documentation/admin-guide/iostats.rst
 */

export type FoundDiskType = "ssd" | "hdd" | "nvme";

/** A block device by its numbers. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** The device that a file lies on, from the `st_dev` of its stat. Major 0 has no disk of its own: memory, network, overlays. */
export function deviceNumber(dev: bigint): DeviceNumber {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return { major: Number(major), minor: Number(BigInt.asUintN(32, minor)) };
}

/** Disks of hypervisors, and devices over files and memory: what they say of rotation is a default, not a fact. */
const UNTOLD = /^(vd|xvd|loop|ram|zram|nbd|rbd|drbd)/;

/**
 * @param name of the whole disk, as `sda`, `nvme0n1`, `dm-0`
 * @param rotational content of its `queue/rotational`
 */
export function diskTypeOf(name: string, rotational: string): FoundDiskType | undefined {
  if (UNTOLD.test(name)) return undefined;
  if (/^nvme\d/.test(name)) return "nvme";
  switch (rotational.trim()) {
    case "0":
      return "ssd";
    case "1":
      return "hdd";
    default:
      return undefined;
  }
}

/** Columns of /proc/diskstats: numbers and name come first, then the fields 1 to 11 and, since Linux 4.18, more. */
const COLUMNS_BEFORE = 3;
/** Field 10, milliseconds in which the device had something to do. */
const BUSY_FIELD = 10;

/** Milliseconds in which the device was busy since it came up, modulo 2^32; `undefined` where it is not listed. */
export function busyMs(diskstats: string, { major, minor }: DeviceNumber): number | undefined {
  for (const line of diskstats.split("\n")) {
    const columns = line.trim().split(/\s+/);
    if (columns[0] !== String(major) || columns[1] !== String(minor)) continue;
    const busy = columns[COLUMNS_BEFORE + BUSY_FIELD - 1];
    return busy !== undefined && /^\d+$/.test(busy) ? Number(busy) : undefined;
  }
  return undefined;
}

/** A look at how long a device had been busy. */
export interface BusyReading {
  /** Of a monotonic clock. */
  readonly atMs: number;
  readonly busyMs: number;
}

const WRAP = 2 ** 32;

/** The share of the time between two readings in which the device was busy, 0 to 1. */
export function utilization(before: BusyReading, now: BusyReading): number | undefined {
  const elapsedMs = now.atMs - before.atMs;
  if (elapsedMs <= 0) return undefined;
  const busy = now.busyMs - before.busyMs;
  return Math.min(1, (busy < 0 ? busy + WRAP : busy) / elapsedMs);
}
