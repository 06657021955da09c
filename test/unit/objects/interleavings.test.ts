/**
 * Two processes on the same objects: whatever the one does between any two steps of the other's call, both see and leave
 * what they would if one had come after the other (I7, I8).
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { ObjectError } from "../../../src/objects/api.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertSound } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { atEveryStep, interposeAt } from "../../support/interpose.ts";
import { type CompletedPart, ObjectClient, type UploadAddress } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

interface Scene {
  readonly gateway: InMemoryGateway;
  readonly upload: UploadAddress;
  readonly part: CompletedPart;
}

/** One of the two processes. */
interface Actor {
  readonly client: ObjectClient;
  /** What it puts. */
  readonly bytes: Uint8Array;
}

type Act = (actor: Actor, scene: Scene) => Promise<unknown>;

const attributesOf = (
  actor: Actor,
): { attributes: { headers: []; metadata: [string, string][]; storageClass: string } } => ({
  attributes: { headers: [], metadata: [["size", String(actor.bytes.length)]], storageClass: "STANDARD" },
});

const WRITES: Readonly<Record<string, Act>> = {
  "put a": ({ client, bytes }) => client.put("box/a", bytes),
  "put b": ({ client, bytes }) => client.put("box/b", bytes),
  "put a if absent": ({ client, bytes }) => client.put("box/a", bytes, { conditions: { ifNoneMatch: "*" } }),
  "put a if present": ({ client, bytes }) => client.put("box/a", bytes, { conditions: { ifMatch: "*" } }),
  "delete a": ({ client }) => client.delete("box/a"),
  "delete b": ({ client }) => client.delete("box/b"),
  "copy a to b": ({ client }) => client.copy("box/a", "box/b"),
  "copy b to a": ({ client }) => client.copy("box/b", "box/a"),
  "copy a to b with a checksum": ({ client }) => client.copy("box/a", "box/b", { checksumAlgorithm: "CRC32" }),
  "copy a to a": (actor) => actor.client.copy("box/a", "box/a", attributesOf(actor)),
  "upload part 1": ({ client, bytes }, { upload }) => client.part(upload, 1, bytes),
  "copy a to part 2": ({ client }, { upload }) => client.partCopy(upload, 2, "box/a"),
  "copy b to part 1": ({ client }, { upload }) => client.partCopy(upload, 1, "box/b", { start: 1, end: 50 }),
  complete: ({ client }, { upload, part }) => client.complete(upload, [part]),
  abort: ({ client }, { upload }) => client.abort(upload),
  "start an upload": ({ client }) => client.createUpload("box/b"),
  "create the bucket": ({ client }) => client.createBucket("box"),
  "delete the bucket": ({ client }) => client.service.deleteBucket("box"),
  sweep: (_, { gateway }) => gateway.sweepPastGrace(),
};

const READS: Readonly<Record<string, Act>> = {
  "get a": ({ client }) => client.get("box/a"),
  "get part 1 of b": ({ client }) => client.get("box/b", { partNumber: 1 }),
};

const SETUPS: Readonly<Record<string, (client: ObjectClient) => Promise<void>>> = {
  "two objects": async (client) => {
    await client.put("box/a", patternBytes(100, 1));
    await client.put("box/b", patternBytes(101, 2));
  },
  "two objects that share a blob": async (client) => {
    await client.put("box/a", patternBytes(100, 1));
    await client.copy("box/a", "box/b");
  },
  "an object with a blob of its own": async (client) => {
    await SETUPS["two objects that share a blob"]?.(client);
    await client.delete("box/b");
  },
  "two objects that share a manifest": async (client) => {
    const upload = await client.createUpload("box/a");
    await client.complete(upload, [await client.part(upload, 1, patternBytes(100, 1))]);
    await client.copy("box/a", "box/b");
  },
  "no objects": async () => {},
};

/** What a call ended with, as text. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    const result = await call;
    return Buffer.isBuffer(result) ? md5(result) : "done";
  } catch (error) {
    if (error instanceof ObjectError) return error.code;
    throw error;
  }
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** All that clients can see, as text. */
async function visible({ gateway, upload }: Scene): Promise<string> {
  const client = new ObjectClient(() => gateway.service);
  const lines: string[] = [];
  for (const { name } of (await client.service.listBuckets({ prefix: "", after: "", maxBuckets: 10 })).buckets) {
    for (const { key, metadata, etag, checksum, partCount } of (await client.list(name)).objects) {
      const bytes = await client.get(`${name}/${key}`);
      lines.push(JSON.stringify([key, md5(bytes), etag, metadata, checksum, partCount]));
    }
    const list = { bucket: name, prefix: "", delimiter: "", keyMarker: "", uploadIdMarker: "", maxUploads: 10 };
    const { uploads } = await client.service.listUploads(list);
    lines.push(`uploads of ${uploads.map(({ key }) => key).join()}`);
  }
  const parts = await client.service.listParts({ ...upload, after: 0, maxParts: 10 }).catch(() => undefined);
  lines.push(JSON.stringify(parts?.parts.map(({ partNumber, etag, size }) => [partNumber, etag, size])));
  return lines.join("\n");
}

interface Pair {
  readonly setup: string;
  readonly first: string;
  readonly second: string;
}

/** Plays `first` with `second` where `how` puts it; what both ended with, and what can be seen then. */
async function play(
  { setup, first, second }: Pair,
  how: (scene: Scene, acts: { first: () => Promise<void>; second: () => Promise<void> }) => Promise<void>,
): Promise<string> {
  const { gateway, client } = await openBox();
  await SETUPS[setup]?.(client);
  const upload = await client.createUpload("box/a");
  const scene = { gateway, upload, part: await client.part(upload, 1, patternBytes(300, 4)) };
  const peer = await gateway.peer();
  const outcomes = ["", ""];
  const act = (name: string, actor: Actor, at: number) => async (): Promise<void> => {
    const perform = WRITES[name] ?? READS[name] ?? assert.fail();
    outcomes[at] = await outcomeOf(perform(actor, scene));
  };
  await how(scene, {
    first: act(first, { client, bytes: patternBytes(200, 5) }, 0),
    second: act(second, { client: new ObjectClient(() => peer.service), bytes: patternBytes(201, 6) }, 1),
  });
  gateway.kv.hooks = {};
  await gateway.settle();
  await assertSound(gateway);
  return `${outcomes.join(" / ")}\n${await visible(scene)}`;
}

async function assertLinearizable(pair: Pair): Promise<void> {
  const inOrder = [
    await play(pair, async (_, { first, second }) => {
      await first();
      await second();
    }),
    await play(pair, async (_, { first, second }) => {
      await second();
      await first();
    }),
  ];
  await atEveryStep(async (at) => {
    let reached = false;
    const seen = await play(pair, async ({ gateway }, { first, second }) => {
      const interposed = interposeAt(gateway.kv, at, second);
      await first();
      reached = interposed.reached();
      gateway.kv.hooks = {};
      if (!reached) await second();
    });
    if (reached && !inOrder.includes(seen)) {
      assert.fail(`${JSON.stringify(pair)} at step ${at}:\n${seen}\nis neither\n${inOrder.join("\nnor\n")}`);
    }
    return reached;
  });
}

test("two calls at the same time end as if one had come after the other, wherever they meet", async () => {
  const pairs = fc.record({
    setup: fc.constantFrom(...Object.keys(SETUPS)),
    first: fc.constantFrom(...Object.keys(WRITES), ...Object.keys(READS)),
    second: fc.constantFrom(...Object.keys(WRITES)),
  });
  await fc.assert(fc.asyncProperty(pairs, assertLinearizable), { numRuns: 150 });
});
