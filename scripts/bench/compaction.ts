/**
 * What compaction of an embedded node gives back, and what it costs those who use the node meanwhile:
 *
 *   sh bin/run-node scripts/bench/compaction.ts [--objects 200000] [--bytes 4096] [--seconds 10] [--folder PATH]
 *
 * Blobs are put, 90 % of them are deleted, and the same load of PUT and GET is measured before compaction and during it.
 */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { CopyKey } from "../../src/nodes/storage-node.ts";
import { openVolumeNode } from "../../src/nodes/volume/open-volume-node.ts";
import type { VolumeNode } from "../../src/nodes/volume/volume-node.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { blocksOf, collect, copyKey, headerFor, patternBytes } from "../../test/support/blobs.ts";

const CLUSTER_ID = "c".repeat(32);
const KEPT_OF = 10;
const FILL_CONCURRENCY = 64;
const LOAD_CONCURRENCY = 8;

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "200000" },
    bytes: { type: "string", default: "4096" },
    seconds: { type: "string", default: "10" },
    folder: { type: "string", default: tmpdir() },
  },
});
const objects = Number(values.objects);
const length = Number(values.bytes);
const random = systemRandom();
const blocks = blocksOf(patternBytes(length, 1));

async function put(node: VolumeNode): Promise<CopyKey> {
  const key = copyKey(1, random);
  await node.put({ key, header: headerFor(key, length, random, CLUSTER_ID), blocks });
  return key;
}

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: FILL_CONCURRENCY }, worker));
}

interface Latencies {
  readonly put: number[];
  readonly get: number[];
}

/** Puts and gets until it is told to stop; what it put is deleted again. */
async function load(node: VolumeNode, kept: readonly CopyKey[], until: () => boolean): Promise<Latencies> {
  const taken: Latencies = { put: [], get: [] };
  const worker = async (): Promise<void> => {
    while (!until()) {
      const started = systemClock.monotonicMs();
      const key = await put(node);
      const between = systemClock.monotonicMs();
      const read = kept[Math.floor(random.float() * kept.length)] ?? key;
      await collect(await node.get(read, { start: 0, end: length }));
      taken.put.push(between - started);
      taken.get.push(systemClock.monotonicMs() - between);
      await node.delete(key);
    }
  };
  await Promise.all(Array.from({ length: LOAD_CONCURRENCY }, worker));
  return taken;
}

function p99(latencies: number[]): number {
  return latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
}

async function bytesOnDisk(path: string): Promise<number> {
  const names = await readdir(join(path, "volumes"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, "volumes", name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const path = await mkdtemp(join(values.folder, "bulkhead-compaction-"));
try {
  const node = await openVolumeNode({
    name: "bench",
    path,
    clusterId: CLUSTER_ID,
    clock: systemClock,
    random,
    limits: { compactionIntervalMs: 0 },
  });
  const keys: CopyKey[] = [];
  await inParallel(objects, async () => keys.push(await put(node)));
  const kept = keys.filter((_, index) => index % KEPT_OF === 0);
  const deleted = keys.filter((_, index) => index % KEPT_OF !== 0);
  await inParallel(deleted.length, async (index) => node.delete(deleted[index] ?? ""));
  const before = await bytesOnDisk(path);

  const endsAtMs = systemClock.monotonicMs() + 1000 * Number(values.seconds);
  const without = await load(node, kept, () => systemClock.monotonicMs() >= endsAtMs);
  let running = true;
  const startedMs = systemClock.monotonicMs();
  const compacting = node.compact().finally(() => {
    running = false;
  });
  const during = await load(node, kept, () => !running);
  await compacting;
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
  await node.compact();
  const { liveBytes, compaction } = node.usage();
  const after = await bytesOnDisk(path);
  await node.close();

  tell(`${objects} blobs of ${length} bytes, ${deleted.length} deleted`);
  tell(`volumes: ${mib(before)} before, ${mib(after)} after; ${(after / liveBytes).toFixed(2)} times what lives`);
  tell(`compaction: ${seconds.toFixed(1)} s, ${mib(compaction.movedBytes)} moved, ${compaction.failures} failures`);
  for (const operation of ["put", "get"] as const) {
    const [quiet, busy] = [p99(without[operation]), p99(during[operation])];
    const calls = `${without[operation].length} and ${during[operation].length} calls`;
    tell(
      `p99 of ${operation}: ${quiet.toFixed(2)} ms without, ${busy.toFixed(2)} ms during; ${(busy / quiet).toFixed(2)} times (${calls})`,
    );
  }
} finally {
  await rm(path, { recursive: true, force: true });
}
