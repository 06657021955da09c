/** Random operations on few objects in few buckets. */
import fc from "fast-check";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";

export type Op =
  | { readonly op: "create bucket" | "delete bucket"; readonly bucket: string }
  | { readonly op: "put"; readonly path: string; readonly size: number; readonly seed: number }
  | { readonly op: "copy"; readonly from: string; readonly to: string }
  | { readonly op: "delete"; readonly path: string }
  | { readonly op: "start upload"; readonly path: string }
  | {
      readonly op: "part";
      readonly upload: number;
      readonly part: number;
      readonly size: number;
      readonly seed: number;
    }
  | {
      readonly op: "part copy";
      readonly upload: number;
      readonly part: number;
      readonly from: string;
      /** Shares of the source where the range starts and ends; the whole source when absent. */
      readonly range?: readonly [number, number];
    }
  /** `drop`: every part whose number is divided by it is left out. */
  | { readonly op: "complete"; readonly upload: number; readonly drop: number }
  | { readonly op: "abort"; readonly upload: number }
  | { readonly op: "get"; readonly path: string; readonly range: readonly [number, number] }
  | { readonly op: "sweep" | "restart" };

export const BUCKETS = ["red", "green"];
const PATHS = BUCKETS.flatMap((bucket) => ["a", "b", "c"].map((key) => `${bucket}/${key}`));
export const UPLOADS = 3;

/** Nothing; a byte; some bytes; two blocks; two segments that are streamed. */
const aSize = fc.constantFrom(0, 1, 1_000, 300_000, 1_500_000);
const aPartSize = fc.oneof({ arbitrary: aSize, weight: 3 }, { arbitrary: fc.constant(PART_BYTES_MIN), weight: 1 });
const aPath = fc.constantFrom(...PATHS);
const aBucket = fc.constantFrom(...BUCKETS);
const aSeed = fc.nat(1_000);
const anUpload = fc.nat(UPLOADS - 1);
const aPartNumber = fc.integer({ min: 1, max: 3 });
const shares = fc
  .tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

export const anOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("put" as const), path: aPath, size: aSize, seed: aSeed }) },
  { weight: 7, arbitrary: fc.record({ op: fc.constant("copy" as const), from: aPath, to: aPath }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("delete" as const), path: aPath }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("start upload" as const), path: aPath }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("part" as const),
      upload: anUpload,
      part: aPartNumber,
      size: aPartSize,
      seed: aSeed,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record(
      { op: fc.constant("part copy" as const), upload: anUpload, part: aPartNumber, from: aPath, range: shares },
      { requiredKeys: ["op", "upload", "part", "from"] },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("complete" as const), upload: anUpload, drop: fc.constantFrom(1, 2, 3, 9) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("abort" as const), upload: anUpload }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("get" as const), path: aPath, range: shares }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("create bucket" as const), bucket: aBucket }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("delete bucket" as const), bucket: aBucket }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom("sweep" as const, "restart" as const) }) },
);
