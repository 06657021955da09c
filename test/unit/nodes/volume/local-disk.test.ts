import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { busyMs, deviceNumber, diskTypeOf, utilization } from "../../../../src/nodes/volume/disk-facts.ts";
import { type DiskSystem, LocalDisk } from "../../../../src/nodes/volume/local-disk.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { turns } from "../wrappers/stub-node.ts";

/** As Linux 5.10 and newer print it, and, in its last line, 2.6 to 4.17. */
const DISKSTATS = `   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
   8       0 sda 5311 1120 412034 2101 8814 7722 1094128 19832 0 11004 22417 0 0 0 0 611 484
   8       1 sda1 5120 1120 409010 2050 8814 7722 1094128 19832 0 10987 21882 0 0 0 0 0 0
 259       0 nvme0n1 1 0 2 3 4 5 6 7 8 4294967290 11 0 0 0 0 0 0
   8      16 sdb 1 2 3 4 5 6 7 8 9 77 11
`;

test("the busy time of a device is found by its numbers, for disks and for partitions", () => {
  assert.equal(busyMs(DISKSTATS, { major: 8, minor: 0 }), 11_004);
  assert.equal(busyMs(DISKSTATS, { major: 8, minor: 1 }), 10_987);
  assert.equal(busyMs(DISKSTATS, { major: 8, minor: 16 }), 77);
  assert.equal(busyMs(DISKSTATS, { major: 8, minor: 2 }), undefined);
  assert.equal(busyMs("8 0 sda 1 2", { major: 8, minor: 0 }), undefined);
  assert.equal(busyMs("", { major: 8, minor: 0 }), undefined);
});

test("the utilization is the busy share of the time, and survives that the counter begins anew", () => {
  assert.equal(utilization({ atMs: 0, busyMs: 100 }, { atMs: 1_000, busyMs: 350 }), 0.25);
  assert.equal(utilization({ atMs: 0, busyMs: 100 }, { atMs: 1_000, busyMs: 9_000 }), 1);
  assert.equal(utilization({ atMs: 0, busyMs: 4_294_967_290 }, { atMs: 100, busyMs: 4 }), 0.1);
  assert.equal(utilization({ atMs: 5, busyMs: 1 }, { atMs: 5, busyMs: 2 }), undefined);
});

test("a disk is nvme by its name, else what the system says of rotation, unless that is only a default", () => {
  for (const [name, rotational, type] of [
    ["nvme0n1", "0\n", "nvme"],
    ["sda", "1\n", "hdd"],
    ["sdb", "0\n", "ssd"],
    ["dm-0", "1\n", "hdd"],
    ["vda", "1\n", undefined],
    ["loop0", "0\n", undefined],
    ["sdc", "", undefined],
  ] as const) {
    assert.equal(diskTypeOf(name, rotational), type, name);
  }
});

test("the numbers of a device are taken apart as the C library puts them together", () => {
  const makedev = (major: bigint, minor: bigint): bigint =>
    ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn);
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), (major, minor) =>
      assert.deepEqual(deviceNumber(makedev(BigInt(major), BigInt(minor))), { major, minor }),
    ),
  );
});

function subject(files: Record<string, string>, links: Record<string, string> = {}, dev = 0x801n) {
  const clock = new ManualClock(0);
  const found = <T>(from: Record<string, T>, path: string): Promise<T> =>
    from[path] === undefined ? Promise.reject(new Error(`no ${path}`)) : Promise.resolve(from[path]);
  const system: DiskSystem = {
    deviceOf: async () => dev,
    readText: (path) => found(files, path),
    realPath: (path) => found(links, path),
  };
  return { clock, disk: new LocalDisk("/data", clock, system) };
}

const stats = (busy: number): string => `8 1 sda1 1 2 3 4 5 6 7 8 9 ${busy} 11`;

test("a folder on a partition has the kind of its disk, and the partition's utilization", async () => {
  const files: Record<string, string> = {
    "/sys/devices/block/sda/queue/rotational": "1\n",
    "/proc/diskstats": stats(100),
  };
  const { disk, clock } = subject(files, { "/sys/dev/block/8:1": "/sys/devices/block/sda/sda1" });
  assert.deepEqual(await disk.figures(), {});
  await turns();
  assert.deepEqual(await disk.figures(), { diskType: "hdd" });
  clock.advance(1_000);
  files["/proc/diskstats"] = stats(600);
  assert.deepEqual(await disk.figures(), { diskType: "hdd", ioUtilization: 0.5 });
});

test("what cannot be read is not known and does no harm", async () => {
  for (const { disk, clock } of [
    subject({}),
    subject({ "/proc/diskstats": "?" }, { "/sys/dev/block/8:1": "/sys/devices/block/sda" }),
    // Memory, network file systems and overlays have a number without a disk.
    subject({ "/proc/diskstats": "0 33 x 1 2 3 4 5 6 7 8 9 10 11" }, {}, 33n),
  ]) {
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await disk.figures(), {});
      await turns();
      clock.advance(1_000);
    }
  }
});

test("a folder whose disk hangs is not waited for, and not looked at again meanwhile", async () => {
  let asked = 0;
  const system: DiskSystem = {
    deviceOf() {
      asked += 1;
      return new Promise(() => {});
    },
    readText: () => Promise.reject(new Error("not asked")),
    realPath: () => Promise.reject(new Error("not asked")),
  };
  const disk = new LocalDisk("/data", new ManualClock(0), system);
  for (let i = 0; i < 3; i++) assert.deepEqual(await disk.figures(), {});
  assert.equal(asked, 1);
});
