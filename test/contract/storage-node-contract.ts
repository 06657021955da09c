/**
 * What every driver of StorageNode does, run unchanged against each of them. Besides the doc comments of
 * storage-node.ts it settles:
 *
 * - A source that throws ends the put as `aborted` with the thrown value as its cause: it says nothing of the node.
 * - A source that yields fewer or more bytes than `header.length`, or a short block before the last one: `invalid`.
 * - A block whose CRC32C does not match its bytes: `corrupt`. After any of these the key is not readable.
 * - A malformed key, a range that is empty or negative, a limit outside 1 to 1,000, an identity over 4 KiB, a header
 *   whose session is not the key's or whose length is no positive integer: `invalid`.
 * - A range that ends past the blob: `corrupt`, from `get` itself or from the iteration, since the caller's record
 *   says that the bytes are there.
 * - Putting the same bytes under the same key again succeeds (a retry whose first answer was lost).
 * - A signal that has already aborted: `aborted`, from every call. A call after `close`: `unreachable`.
 * - What the node itself keeps is never foreign; foreign things neither show as copies nor are changed by any call.
 * - `next` of a page is set exactly when there is more.
 */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import {
  BLOCK_BYTES,
  type BlobHeader,
  type BlobStat,
  type Block,
  type CopyKey,
  NodeError,
  type NodeErrorKind,
  type StorageNode,
} from "../../src/nodes/storage-node.ts";
import { systemRandom } from "../../src/shared/random.ts";
import { blockOf, blocksOf, collect, copyKey, headerFor, patternBytes, streamOf } from "../support/blobs.ts";

/** The cluster that the node under test must be opened for. */
export const CONTRACT_CLUSTER_ID = "00c0ffee00c0ffee00c0ffee00c0ffee";

export interface NodeUnderTest {
  readonly node: StorageNode;
  /** Removes everything; called once, after the node in use was closed. */
  dispose(): PromiseLike<void>;
  /** Opens the same store again after the suite closed the node, as after a restart. */
  reopen?(): Promise<StorageNode>;
  /** Flips at least one bit of the copy's bytes at this offset, where these bytes stand, behind the node's back. */
  corrupt?(key: CopyKey, offset: number, bytes: Uint8Array): Promise<void>;
  /** Puts something of this name beside what is ours, as somebody else would. */
  addForeign?(name: string): Promise<void>;
}

/** Fails a test that hangs; far above what any of them takes. */
const HANG_MS = 60_000;
const MIB = 1_048_576;
const SIZES = [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * MIB + 3];

export async function assertFails(call: Promise<unknown>, kind: NodeErrorKind): Promise<NodeError> {
  try {
    await call;
  } catch (thrown) {
    assert.ok(thrown instanceof NodeError, `expected a NodeError, got ${String(thrown)}`);
    assert.equal(thrown.kind, kind, thrown.message);
    return thrown;
  }
  assert.fail(`the call succeeded, expected ${kind}`);
}

/** @param how `corruptible`: whether `corrupt` is there; a node whose bytes cannot be reached is not tested for it */
export function storageNodeContract(
  name: string,
  makeNode: () => Promise<NodeUnderTest>,
  { corruptible = true }: { readonly corruptible?: boolean } = {},
): void {
  // Not from a seed: two runs over one S3 bucket must not meet in a session or a key.
  const random = systemRandom();
  let lastSession = Math.floor(random.float() * 2 ** 30);
  /** No two tests share a session, so each can list what it made. */
  const nextSession = (): number => ++lastSession;

  describe(`storage node contract: ${name}`, { timeout: 10 * HANG_MS }, () => {
    let subject: NodeUnderTest;
    let node: StorageNode;

    before(async () => {
      subject = await makeNode();
      node = subject.node;
    });

    after(async () => {
      await node.close();
      await subject.dispose();
    });

    const it = (title: string, body: (t: TestContext) => Promise<void>): void => {
      test(title, { timeout: HANG_MS }, body);
    };

    interface Stored {
      readonly key: CopyKey;
      readonly header: BlobHeader;
      readonly bytes: Uint8Array;
    }

    async function store(length: number, session = nextSession(), on: StorageNode = node): Promise<Stored> {
      const key = copyKey(session, random);
      const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
      const bytes = patternBytes(length, length + session);
      await on.put({ key, header, blocks: blocksOf(bytes) });
      return { key, header, bytes };
    }

    async function read(key: CopyKey, start: number, end: number, on: StorageNode = node): Promise<Buffer> {
      return collect(await on.get(key, { start, end }));
    }

    async function assertAbsent(key: CopyKey, on: StorageNode = node): Promise<void> {
      assert.equal(await on.head(key), undefined);
      await assertFails(read(key, 0, 1, on), "not-found");
      const { blobs } = await on.list({ session: Number.parseInt(key.slice(0, 8), 16), limit: 1000 });
      assert.ok(!blobs.some((blob) => blob.key === key));
    }

    async function listAll(session: number | undefined, limit: number, on: StorageNode = node): Promise<BlobStat[]> {
      const found: BlobStat[] = [];
      let next: CopyKey | undefined;
      do {
        const page = await on.list({
          limit,
          ...(session === undefined ? {} : { session }),
          ...(next === undefined ? {} : { after: next }),
        });
        assert.ok(page.blobs.length <= limit);
        if (page.next !== undefined) assert.equal(page.next, page.blobs.at(-1)?.key);
        found.push(...page.blobs);
        next = page.next;
      } while (next !== undefined);
      return found;
    }

    for (const length of SIZES) {
      it(`returns exactly the ${length} bytes that were put as an array`, async () => {
        const { key, bytes } = await store(length);
        assert.deepEqual(await read(key, 0, length), Buffer.from(bytes));
      });

      it(`returns exactly the ${length} bytes that were put as a stream, and leaves the chunks as they were`, async () => {
        const key = copyKey(nextSession(), random);
        const bytes = patternBytes(length, length);
        const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
        const receipt = await node.put({ key, header, blocks: streamOf(blocksOf(bytes)) });
        assert.ok(["fsync", "checksum", "etag", "read-back"].includes(receipt.proof));
        assert.deepEqual(await read(key, 0, length), Buffer.from(patternBytes(length, length)));
        assert.deepEqual(bytes, patternBytes(length, length));
      });
    }

    it("returns any range of a blob exactly", async () => {
      const length = 3 * BLOCK_BYTES + 1234;
      const { key, bytes } = await store(length);
      const ranges: [number, number][] = [
        [0, 1],
        [length - 1, length],
        [0, length],
        [0, BLOCK_BYTES],
        [BLOCK_BYTES, 2 * BLOCK_BYTES],
        [BLOCK_BYTES - 1, BLOCK_BYTES + 1],
        [BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 1],
        [3 * BLOCK_BYTES, length],
        [511, 513],
      ];
      for (const [start, end] of ranges) {
        assert.deepEqual(await read(key, start, end), Buffer.from(bytes.subarray(start, end)), `${start}-${end}`);
      }
    });

    it("tells a blob's length by head", async () => {
      const { key, header } = await store(70_000);
      const stat = await node.head(key);
      assert.equal(stat?.key, key);
      assert.equal(stat?.length, 70_000);
      if (stat?.blobId !== undefined) assert.equal(stat.blobId, header.blobId);
    });

    it("answers not-found for a key that was never put", async () => {
      await assertAbsent(copyKey(nextSession(), random));
    });

    it("takes the same bytes under the same key again, and one delete removes them", async () => {
      const { key, header, bytes } = await store(BLOCK_BYTES + 5);
      await node.put({ key, header, blocks: blocksOf(bytes) });
      assert.deepEqual(await read(key, 0, bytes.length), Buffer.from(bytes));
      assert.equal((await listAll(header.session, 1000)).length, 1);
      await node.delete(key);
      await assertAbsent(key);
    });

    it("deletes for good, however often it is told, and leaves the neighbours", async () => {
      const session = nextSession();
      const kept = await store(1000, session);
      const gone = await store(1000, session);
      await node.delete(gone.key);
      await node.delete(gone.key);
      await assertAbsent(gone.key);
      assert.deepEqual(await read(kept.key, 0, 1000), Buffer.from(kept.bytes));
    });

    it("deletes what is not there without an error", async () => {
      await node.delete(copyKey(nextSession(), random));
    });

    it("lists a session in key order, page by page, without its neighbours", async () => {
      const [before, session, behind] = [nextSession(), nextSession(), nextSession()];
      await store(10, before);
      await store(10, behind);
      const keys: CopyKey[] = [];
      for (let i = 0; i < 7; i++) keys.push((await store(100 + i, session)).key);
      keys.sort();
      for (const limit of [1, 2, 3, 7, 8, 1000]) {
        const found = await listAll(session, limit);
        assert.deepEqual(
          found.map((blob) => blob.key),
          keys,
          `limit ${limit}`,
        );
      }
      const stats = await listAll(session, 1000);
      const lengths = stats.map((blob) => blob.length).sort((a, b) => a - b);
      assert.deepEqual(lengths, [100, 101, 102, 103, 104, 105, 106]);
    });

    it("says that there is more exactly when there is", async () => {
      const session = nextSession();
      for (let i = 0; i < 3; i++) await store(10, session);
      assert.notEqual((await node.list({ session, limit: 2 })).next, undefined);
      assert.equal((await node.list({ session, limit: 3 })).next, undefined);
      assert.equal((await node.list({ session: nextSession(), limit: 3 })).next, undefined);
    });

    it("lists after a key whether or not that key exists, and whatever its session", async () => {
      const [lower, session, higher] = [nextSession(), nextSession(), nextSession()];
      const keys: CopyKey[] = [];
      for (let i = 0; i < 3; i++) keys.push((await store(10, session)).key);
      keys.sort();
      const listed = async (after: CopyKey): Promise<CopyKey[]> =>
        (await node.list({ session, after, limit: 10 })).blobs.map((blob) => blob.key);
      assert.deepEqual(await listed(keys[0] as CopyKey), keys.slice(1));
      await node.delete(keys[0] as CopyKey);
      assert.deepEqual(await listed(keys[0] as CopyKey), keys.slice(1));
      assert.deepEqual(await listed(keys[2] as CopyKey), []);
      assert.deepEqual(await listed(copyKey(lower, random)), keys.slice(1));
      assert.deepEqual(await listed(copyKey(higher, random)), []);
    });

    it("lists all sessions in key order", async () => {
      const keys = [(await store(10)).key, (await store(10)).key, (await store(10)).key];
      const found = (await listAll(undefined, 1000)).map((blob) => blob.key);
      assert.deepEqual(found, found.toSorted());
      assert.deepEqual(
        found.filter((key) => keys.includes(key)),
        keys,
      );
    });

    it("keeps nothing readable of a put whose source throws", async () => {
      const key = copyKey(nextSession(), random);
      const cause = new Error("the client went away");
      async function* broken(): AsyncGenerator<Block> {
        yield* streamOf(blocksOf(patternBytes(2 * BLOCK_BYTES, 1)));
        throw cause;
      }
      const header = headerFor(key, 4 * BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
      const error = await assertFails(node.put({ key, header, blocks: broken() }), "aborted");
      assert.equal(error.cause, cause);
      await assertAbsent(key);
    });

    it("keeps nothing readable of a put whose source ends short or runs over", async () => {
      for (const yielded of [BLOCK_BYTES, 2 * BLOCK_BYTES - 1, 2 * BLOCK_BYTES + 1, 3 * BLOCK_BYTES]) {
        const key = copyKey(nextSession(), random);
        const header = headerFor(key, 2 * BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
        const blocks = blocksOf(patternBytes(yielded, 2));
        await assertFails(node.put({ key, header, blocks: streamOf(blocks) }), "invalid");
        await assertFails(node.put({ key, header, blocks }), "invalid");
        await assertAbsent(key);
      }
    });

    it("refuses a short block before the last one", async () => {
      const key = copyKey(nextSession(), random);
      const header = headerFor(key, BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
      const blocks = [blockOf(patternBytes(100, 1)), blockOf(patternBytes(BLOCK_BYTES - 100, 2))];
      await assertFails(node.put({ key, header, blocks: streamOf(blocks) }), "invalid");
      await assertFails(node.put({ key, header, blocks }), "invalid");
      await assertAbsent(key);
    });

    it("ends a put at once when its signal aborts while the source is silent", async () => {
      const key = copyKey(nextSession(), random);
      const abort = new AbortController();
      async function* silent(): AsyncGenerator<Block> {
        yield* streamOf(blocksOf(patternBytes(BLOCK_BYTES, 1)));
        setImmediate(() => abort.abort());
        await new Promise<never>(() => {});
      }
      const header = headerFor(key, 2 * BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
      await assertFails(node.put({ key, header, blocks: silent(), signal: abort.signal }), "aborted");
      await assertAbsent(key);
    });

    it("finds out bytes that do not match the checksum handed over, in any block", async () => {
      const bytes = patternBytes(3 * BLOCK_BYTES + 10, 4);
      for (let bad = 0; bad < 4; bad++) {
        const blocks = blocksOf(bytes).map((block, i) => (i === bad ? { ...block, crc32c: block.crc32c ^ 1 } : block));
        for (const source of [blocks, streamOf(blocks)]) {
          const key = copyKey(nextSession(), random);
          const header = headerFor(key, bytes.length, random, CONTRACT_CLUSTER_ID);
          await assertFails(node.put({ key, header, blocks: source }), "corrupt");
          await assertAbsent(key);
        }
      }
    });

    it("serves other puts after failed ones", async () => {
      const { key, bytes } = await store(2 * BLOCK_BYTES);
      assert.deepEqual(await read(key, 0, bytes.length), Buffer.from(bytes));
    });

    it("keeps every one of 64 concurrent puts, small and large, arrays and streams", async () => {
      const session = nextSession();
      const lengths = Array.from({ length: 64 }, (_, i) => (i % 8 === 0 ? MIB + i : i % 8 === 1 ? BLOCK_BYTES : i + 1));
      const stored = await Promise.all(
        lengths.map(async (length, i) => {
          const key = copyKey(session, random);
          const bytes = patternBytes(length, i);
          const blocks = blocksOf(bytes);
          const header = headerFor(key, length, random, CONTRACT_CLUSTER_ID);
          await node.put({ key, header, blocks: i % 3 === 0 ? blocks : streamOf(blocks) });
          // Readable as soon as its own put is answered, whatever the others do.
          assert.deepEqual(await read(key, 0, length), Buffer.from(bytes));
          return { key, bytes };
        }),
      );
      for (const { key, bytes } of stored) {
        assert.deepEqual(await read(key, 0, bytes.length), Buffer.from(bytes));
      }
      assert.deepEqual(
        (await listAll(session, 10)).map((blob) => blob.key),
        stored.map(({ key }) => key).toSorted(),
      );
    });

    it("releases what a reader holds that leaves early", async () => {
      const { key, bytes } = await store(4 * MIB);
      const leave = async (): Promise<void> => {
        for await (const chunk of await node.get(key, { start: 0, end: bytes.length })) {
          assert.ok(chunk.length > 0);
          break;
        }
      };
      for (let round = 0; round < 8; round++) await Promise.all(Array.from({ length: 32 }, leave));
      assert.deepEqual(await read(key, 0, bytes.length), Buffer.from(bytes));
    });

    it("ends a read whose signal aborts in the middle", async () => {
      const { key, bytes } = await store(5 * MIB);
      const abort = new AbortController();
      const chunks = await node.get(key, { start: 0, end: bytes.length }, abort.signal);
      const reading = (async () => {
        for await (const chunk of chunks) {
          assert.ok(chunk.length < bytes.length);
          abort.abort();
        }
      })();
      await assertFails(reading, "aborted");
    });

    it("answers corrupt for a range that ends past the blob", async () => {
      const { key } = await store(1000);
      await assertFails(read(key, 0, 1001), "corrupt");
      await assertFails(read(key, 999, 2000), "corrupt");
      await assertFails(read(key, 1000, 1001), "corrupt");
      await assertFails(read(key, 5000, 6000), "corrupt");
    });

    it("refuses calls that break the contract as invalid", async () => {
      const { key, header, bytes } = await store(100);
      const blocks = blocksOf(bytes);
      const fresh = copyKey(header.session, random);
      for (const bad of ["", "../../etc/passwd", `${key}0`, key.slice(1), key.toUpperCase().replace("/", "-")]) {
        await assertFails(node.put({ key: bad, header, blocks }), "invalid");
        await assertFails(read(bad, 0, 1), "invalid");
        await assertFails(node.head(bad), "invalid");
        await assertFails(node.delete(bad), "invalid");
      }
      await assertFails(node.put({ key: fresh, header: { ...header, length: 0 }, blocks: [] }), "invalid");
      await assertFails(node.put({ key: fresh, header: { ...header, length: 1.5 }, blocks }), "invalid");
      await assertFails(
        node.put({ key: fresh, header: { ...header, session: header.session + 1 }, blocks }),
        "invalid",
      );
      await assertFails(read(key, 5, 5), "invalid");
      await assertFails(read(key, 6, 5), "invalid");
      await assertFails(read(key, -1, 5), "invalid");
      await assertFails(node.list({ limit: 0 }), "invalid");
      await assertFails(node.list({ limit: 1001 }), "invalid");
      await assertFails(node.list({ limit: 1, after: "nonsense" }), "invalid");
      await assertFails(node.writeIdentity(new Uint8Array(4097)), "invalid");
      await assertAbsent(fresh);
    });

    it("answers aborted to every call whose signal has already aborted", async () => {
      const { key, header, bytes } = await store(100);
      const signal = AbortSignal.abort();
      const fresh = copyKey(header.session, random);
      await assertFails(node.put({ key: fresh, header, blocks: blocksOf(bytes), signal }), "aborted");
      await assertFails(node.get(key, { start: 0, end: 1 }, signal), "aborted");
      await assertFails(node.head(key, signal), "aborted");
      await assertFails(node.delete(key, signal), "aborted");
      await assertFails(node.list({ limit: 1 }, signal), "aborted");
      await assertFails(node.capacity(signal), "aborted");
      await assertFails(node.foreign(signal), "aborted");
      await assertFails(node.probe("reach", signal), "aborted");
      await assertFails(node.readIdentity(signal), "aborted");
      await assertFails(node.writeIdentity(new Uint8Array(1), signal), "aborted");
      await assertAbsent(fresh);
      assert.equal((await node.head(key))?.length, 100);
    });

    it("tells its capacity, or that it cannot", async () => {
      const capacity = await node.capacity();
      if (capacity === undefined) return;
      for (const bytes of [capacity.totalBytes, capacity.usedBytes, capacity.freeBytes]) {
        assert.ok(Number.isSafeInteger(bytes) && bytes >= 0);
      }
      assert.ok(capacity.freeBytes <= capacity.totalBytes);
      assert.ok(capacity.usedBytes <= capacity.totalBytes);
      assert.ok(capacity.totalBytes > 0);
    });

    for (const depth of ["reach", "list", "canary", "admission"] as const) {
      it(`passes the ${depth} probe when it is well, and the probe leaves nothing behind`, async () => {
        const earlier = await listAll(undefined, 1000);
        const findings = await node.probe(depth);
        assert.ok(findings.length > 0);
        assert.deepEqual(
          findings.filter((finding) => !finding.passed),
          [],
        );
        assert.deepEqual(await listAll(undefined, 1000), earlier);
      });
    }

    it("holds no identity until one is written, and another one only in the place of one that is named", async () => {
      const fresh = await makeNode();
      const [first, second, third] = [patternBytes(1, 1), patternBytes(4096, 2), patternBytes(300, 3)];
      const holds = async (document: Uint8Array): Promise<void> =>
        assert.deepEqual(Buffer.from((await fresh.node.readIdentity()) ?? []), Buffer.from(document));
      try {
        assert.equal(await fresh.node.readIdentity(), undefined);
        await fresh.node.writeIdentity(first);
        await holds(first);
        await fresh.node.writeIdentity(first);
        await assertFails(fresh.node.writeIdentity(second), "refused");
        await assertFails(fresh.node.writeIdentity(second, undefined, third), "refused");
        await holds(first);
        await fresh.node.writeIdentity(second, undefined, first);
        await holds(second);
        await fresh.node.writeIdentity(third, undefined, second);
        await holds(third);
        assert.deepEqual((await fresh.node.list({ limit: 10 })).blobs, []);
      } finally {
        await fresh.node.close();
        await fresh.dispose();
      }
    });

    it("finds nothing foreign where there is only what it keeps itself", async () => {
      const fresh = await makeNode();
      try {
        const nothing = { names: [], count: 0, more: false };
        assert.deepEqual(await fresh.node.foreign(), nothing);
        await store(100, nextSession(), fresh.node);
        await store(BLOCK_BYTES + 1, nextSession(), fresh.node);
        await fresh.node.writeIdentity(patternBytes(100, 1));
        await fresh.node.probe("admission");
        assert.deepEqual(await fresh.node.foreign(), nothing);
      } finally {
        await fresh.node.close();
        await fresh.dispose();
      }
    });

    it("reports what somebody else put beside what is ours, ten names and their number", async (t) => {
      const fresh = await makeNode();
      try {
        const { addForeign } = fresh;
        if (addForeign === undefined) return t.skip("nobody else has a way to this driver's place");
        const { key, bytes } = await store(100, nextSession(), fresh.node);
        await addForeign("a");
        assert.deepEqual(await fresh.node.foreign(), { names: ["a"], count: 1, more: false });
        for (let i = 0; i < 11; i++) await addForeign(`b${i} ü`);
        const { names, count, more } = await fresh.node.foreign();
        assert.deepEqual([names.length, new Set(names).size, count, more], [10, 10, 12, false]);
        assert.ok(
          names.every((name) => name === "a" || /^b\d+ ü$/.test(name)),
          names.join(),
        );
        assert.equal((await listAll(undefined, 1000, fresh.node)).length, 1);
        assert.deepEqual(await read(key, 0, 100, fresh.node), Buffer.from(bytes));
      } finally {
        await fresh.node.close();
        await fresh.dispose();
      }
    });

    it("answers unreachable to every call after it was closed", async () => {
      const closed = await makeNode();
      try {
        const { key, header, bytes } = await store(100, nextSession(), closed.node);
        await closed.node.close();
        await closed.node.close();
        const put = closed.node.put({ key: copyKey(header.session, random), header, blocks: blocksOf(bytes) });
        await assertFails(put, "unreachable");
        await assertFails(closed.node.get(key, { start: 0, end: 1 }), "unreachable");
        await assertFails(closed.node.head(key), "unreachable");
        await assertFails(closed.node.delete(key), "unreachable");
        await assertFails(closed.node.list({ limit: 1 }), "unreachable");
        await assertFails(closed.node.capacity(), "unreachable");
        await assertFails(closed.node.foreign(), "unreachable");
        await assertFails(closed.node.probe("reach"), "unreachable");
        await assertFails(closed.node.readIdentity(), "unreachable");
        await assertFails(closed.node.writeIdentity(new Uint8Array(1)), "unreachable");
      } finally {
        await closed.dispose();
      }
    });

    it("ends a put that is under way when it is closed", async () => {
      const closing = await makeNode();
      try {
        const key = copyKey(nextSession(), random);
        let started = (): void => {};
        const underWay = new Promise<void>((resolve) => {
          started = resolve;
        });
        async function* silent(): AsyncGenerator<Block> {
          yield* streamOf(blocksOf(patternBytes(BLOCK_BYTES, 1)));
          started();
          await new Promise<never>(() => {});
        }
        const header = headerFor(key, 2 * BLOCK_BYTES, random, CONTRACT_CLUSTER_ID);
        const put = assertFails(closing.node.put({ key, header, blocks: silent() }), "unreachable");
        await underWay;
        await closing.node.close();
        await put;
      } finally {
        await closing.dispose();
      }
    });

    it("holds after a restart what it held before, and nothing that was deleted", async (t) => {
      const restarted = await makeNode();
      let current = restarted.node;
      try {
        if (restarted.reopen === undefined) {
          t.skip("this driver keeps nothing over a restart");
          return;
        }
        const session = nextSession();
        const kept: Stored[] = [];
        for (const length of SIZES) kept.push(await store(length, session, current));
        const gone = await store(1000, session, current);
        await current.delete(gone.key);
        await current.writeIdentity(patternBytes(200, 1));
        const listed = await listAll(session, 1000, current);
        await current.close();
        current = await restarted.reopen();
        for (const { key, bytes } of kept) {
          assert.deepEqual(await read(key, 0, bytes.length, current), Buffer.from(bytes));
        }
        await assertAbsent(gone.key, current);
        assert.deepEqual(await listAll(session, 1000, current), listed);
        assert.deepEqual(Buffer.from((await current.readIdentity()) ?? []), Buffer.from(patternBytes(200, 1)));
      } finally {
        await current.close();
        await restarted.dispose();
      }
    });

    if (!corruptible) return;
    it("shows a reader that checks that a copy was changed behind its back", async () => {
      // The last of many blocks: an engine may check its own bytes in larger pieces, and refuse a piece as a whole.
      const { key, bytes } = await store(8 * BLOCK_BYTES);
      const bad = 7 * BLOCK_BYTES;
      assert.ok(subject.corrupt !== undefined, "the node under test is not corruptible");
      await subject.corrupt(key, bad + 7, bytes.subarray(bad + 7, bad + 7 + 64));
      assert.deepEqual(await read(key, 0, BLOCK_BYTES), Buffer.from(bytes.subarray(0, BLOCK_BYTES)));
      try {
        const block = await read(key, bad, bad + BLOCK_BYTES);
        assert.equal(block.length, BLOCK_BYTES);
        assert.notDeepEqual(block, Buffer.from(bytes.subarray(bad)));
      } catch (thrown) {
        assert.ok(thrown instanceof NodeError && thrown.kind === "corrupt", String(thrown));
      }
    });
  });
}
