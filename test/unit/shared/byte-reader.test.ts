import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, StreamTooLongError, StreamTooShortError } from "../../../src/shared/byte-reader.ts";
import { collect, patternBytes } from "../../support/blobs.ts";

async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

test("consecutive pieces are the stream cut where they end, whatever its chunks", async () => {
  const lengths = fc.array(fc.nat(40), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.array(fc.nat(30), { maxLength: 20 }), async (pieces, sizes) => {
      const bytes = patternBytes(
        pieces.reduce((sum, length) => sum + length, 0),
        1,
      );
      const reader = new ByteReader(chunks(bytes, sizes));
      let at = 0;
      for (const length of pieces) {
        const piece = await collect(reader.take(length));
        assert.ok(piece.equals(bytes.subarray(at, at + length)));
        at += length;
      }
      await reader.expectEnd();
    }),
  );
});

test("chunks are passed on without copying them", async () => {
  const bytes = patternBytes(100, 1);
  const reader = new ByteReader(chunks(bytes, [60]));
  const pieces = [...(await Array.fromAsync(reader.take(50))), ...(await Array.fromAsync(reader.take(50)))];
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [50, 10, 40],
  );
  for (const piece of pieces) assert.equal(piece.buffer, bytes.buffer);
});

test("a stream that ends short fails the piece that lacks, and says by how much", async () => {
  const reader = new ByteReader(chunks(patternBytes(10, 1), [4]));
  await collect(reader.take(4));
  await assert.rejects(
    collect(reader.take(9)),
    (error) => error instanceof StreamTooShortError && /3/.test(error.message),
  );
  const empty = new ByteReader(chunks(new Uint8Array(0), []));
  await assert.rejects(collect(empty.take(1)), StreamTooShortError);
});

test("a stream that runs over is noticed, also by the rest of a chunk, and chunks without bytes do not count", async () => {
  const over = new ByteReader(chunks(patternBytes(10, 1), [10]));
  await collect(over.take(9));
  await assert.rejects(over.expectEnd(), StreamTooLongError);
  const further = new ByteReader(chunks(patternBytes(10, 1), [9, 1]));
  await collect(further.take(9));
  await assert.rejects(further.expectEnd(), StreamTooLongError);
  const padded = new ByteReader(chunks(patternBytes(9, 1), [0, 9, 0, 0]));
  await collect(padded.take(9));
  await padded.expectEnd();
});

test("disposal releases the source, at its end as in its midst, and before it was begun", async () => {
  for (const take of [0, 5, 10]) {
    let released = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield patternBytes(5, 1);
        yield patternBytes(5, 2);
      } finally {
        released = true;
      }
    }
    const generator = source();
    {
      await using reader = new ByteReader(generator);
      await collect(reader.take(take));
      if (take === 10) await reader.expectEnd();
    }
    assert.equal((await generator.next()).done, true);
    assert.equal(released, take > 0);
  }
});

test("what the source throws is thrown to whoever takes", async () => {
  const broken = new Error("the client is gone");
  async function* source(): AsyncGenerator<Uint8Array> {
    yield patternBytes(5, 1);
    throw broken;
  }
  const reader = new ByteReader(source());
  await assert.rejects(collect(reader.take(10)), broken);
});
