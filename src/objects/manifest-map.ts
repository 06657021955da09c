import { manifestRange } from "../catalog/keys.ts";
import type { Kv } from "../catalog/kv.ts";
import { decodeManifestPage, type PartRun } from "../catalog/records/manifest.ts";
import type { Id } from "../shared/ids.ts";
import type { ByteRange } from "./api.ts";

/** 10,000 parts of as many sizes make five pages. */
const PAGES_MAX = 16;

/** A part and the bytes of the object that it holds. */
export interface PartSpan extends ByteRange {
  readonly partNumber: number;
}

/** The runs of a manifest; empty when the manifest is gone. */
export async function readRuns(kv: Kv, manifestId: Id): Promise<PartRun[]> {
  const pages = await kv.list(manifestRange(manifestId), { limit: PAGES_MAX });
  return pages.flatMap((page) => decodeManifestPage(page.value).runs);
}

/** The parts that hold bytes of a range, in order, found without looking at the parts before it. */
export function* partsInRange(runs: readonly PartRun[], range: ByteRange): Generator<PartSpan, void, undefined> {
  let runStart = 0;
  for (const { firstPart, count, partSize } of runs) {
    const runEnd = runStart + count * partSize;
    if (runStart >= range.end) return;
    if (runEnd > range.start) {
      const first = Math.max(0, Math.floor((range.start - runStart) / partSize));
      for (let index = first; index < count; index++) {
        const start = runStart + index * partSize;
        if (start >= range.end) return;
        yield { partNumber: firstPart + index, start, end: start + partSize };
      }
    }
    runStart = runEnd;
  }
}

/** Where a part of the given number lies, `undefined` when there is none. */
export function spanOfPart(runs: readonly PartRun[], partNumber: number): PartSpan | undefined {
  let runStart = 0;
  for (const { firstPart, count, partSize } of runs) {
    if (partNumber >= firstPart && partNumber < firstPart + count) {
      const start = runStart + (partNumber - firstPart) * partSize;
      return { partNumber, start, end: start + partSize };
    }
    runStart += count * partSize;
  }
  return undefined;
}
