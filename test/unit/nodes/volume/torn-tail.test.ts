/** A volume that ends anywhere, in zeros, garbage or nothing: every record before that place is found, none behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { copyKeyBytes } from "../../../../src/nodes/copy-key.ts";
import type { StorageNode } from "../../../../src/nodes/storage-node.ts";
import { DATA_START, recordBytes } from "../../../../src/nodes/volume/layout.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { patternBytes } from "../../../support/blobs.ts";
import { CrashDisk } from "../../../support/crash-disk.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { MemoryIndex } from "../../../support/memory-index-store.ts";
import { holds, openNode, putBlob, type StoredBlob } from "../../../support/volume-node.ts";

const LENGTHS = [1, 300, 5000, 384, 40_000, 12, 65_536, 700];
/** Where a record's key lies in its header. */
const KEY_AT = 44;

function openOn(disk: CrashDisk): Promise<StorageNode> {
  const index = new MemoryIndex();
  return openNode("/v", {
    fileSystem: disk.mount(),
    openIndexStore: () => index.open(),
    clock: new ManualClock(),
    random: seededRandom(1),
  });
}

interface Placed extends StoredBlob {
  readonly start: number;
  readonly end: number;
}

async function volumeWithBlobs(disk: CrashDisk): Promise<{ path: string; blobs: Placed[] }> {
  const node = await openOn(disk);
  const stored: StoredBlob[] = [];
  for (const length of LENGTHS) stored.push(await putBlob(node, length));
  await node.close();
  const [first] = stored;
  assert.ok(first);
  const path = disk.paths().find((name) => disk.content(name).includes(copyKeyBytes(first.key)));
  assert.ok(path);
  const blobs = stored.map((blob) => {
    const start = disk.content(path).indexOf(copyKeyBytes(blob.key)) - KEY_AT;
    return { ...blob, start, end: start + recordBytes(blob.bytes.length) };
  });
  return { path, blobs };
}

/** Just before, at and behind every bound of a record, and some places within. */
function cutsOf(blobs: readonly Placed[]): number[] {
  const cuts = new Set<number>();
  for (const { start, end } of blobs) {
    for (const at of [start, start + 1, start + 127, start + 128, start + 129, start + 512, end - 513, end - 1, end]) {
      if (at >= start && at <= end) cuts.add(at);
    }
  }
  return [...cuts];
}

const TAILS: Record<string, (before: Buffer, cut: number) => Buffer> = {
  nothing: (before, cut) => Buffer.from(before.subarray(0, cut)),
  zeros: (before, cut) => Buffer.from(before).fill(0, cut),
  garbage: (before, cut) => Buffer.concat([before.subarray(0, cut), patternBytes(before.length - cut, cut)]),
};

for (const [name, tail] of Object.entries(TAILS)) {
  test(`a volume that goes on in ${name} from any place on holds all records before it`, async () => {
    const disk = new CrashDisk(seededRandom(1));
    const { path, blobs } = await volumeWithBlobs(disk);
    const whole = Buffer.from(disk.content(path));
    for (const cut of cutsOf(blobs)) {
      disk.replace(path, tail(whole, cut));
      const node = await openOn(disk);
      let lastEnd = DATA_START;
      for (const blob of blobs) {
        // The padding behind a trailer is not missed, so a record may be whole a little before its end.
        const lastByte = blob.start + 128 + blob.bytes.length + 8;
        const expected = blob.end <= cut || (lastByte <= cut && name !== "nothing");
        if (expected || cut < lastByte) assert.equal(await holds(node, blob), expected, `cut at ${cut}`);
        if (expected) lastEnd = blob.end;
      }
      const behind = disk.content(path).subarray(lastEnd);
      assert.ok(
        behind.every((byte) => byte === 0),
        "what lay behind the last record was not cut",
      );
      const later = await putBlob(node, 2000);
      assert.ok(await holds(node, later));
      await node.close();
    }
  });
}

test("a damaged header or trailer in the middle hides its own record only", async () => {
  const disk = new CrashDisk(seededRandom(1));
  const { path, blobs } = await volumeWithBlobs(disk);
  const whole = Buffer.from(disk.content(path));
  for (const bad of blobs.slice(0, -1)) {
    for (const at of [bad.start + 3, bad.start + 30, bad.start + 127, bad.start + 128 + bad.bytes.length]) {
      const content = Buffer.from(whole);
      content[at] = (content[at] ?? 0) ^ 0x10;
      disk.replace(path, content);
      const node = await openOn(disk);
      for (const blob of blobs) assert.equal(await holds(node, blob), blob !== bad);
      await node.close();
    }
  }
});
