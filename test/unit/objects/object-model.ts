/** What a bucket store is to outside eyes: names and bytes. Random operations run against it and the gateway alike. */
import { ObjectError, type ObjectErrorCode } from "../../../src/objects/api.ts";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { patternBytes } from "../../support/blobs.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { type ObjectClient, PLAIN, type UploadAddress } from "../../support/object-client.ts";
import { BUCKETS, type Op, UPLOADS } from "./object-ops.ts";

interface ModelUpload {
  readonly address: UploadAddress;
  readonly path: string;
  /** The objects of the bucket that it was started in. */
  readonly objects: Map<string, Buffer>;
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>;
}

/** What an operation is to end with: bytes where it answers some, or the code of its error. */
export type Expected = { readonly bytes?: Buffer } | { readonly code: ObjectErrorCode };

export class World {
  readonly client: ObjectClient;
  readonly gateway: InMemoryGateway;
  /** Buckets with their objects. */
  readonly buckets = new Map<string, Map<string, Buffer>>();
  /** By number; those that were completed or aborted are not there any more. */
  readonly uploads = new Map<number, ModelUpload>();

  constructor(gateway: InMemoryGateway, client: ObjectClient) {
    this.gateway = gateway;
    this.client = client;
  }

  async createBuckets(): Promise<void> {
    for (const bucket of BUCKETS) await this.run({ op: "create bucket", bucket });
  }

  /** Does the operation on the gateway and the model and fails where they differ. */
  async run(op: Op): Promise<void> {
    const expected = this.#expect(op);
    if (expected === undefined) return;
    let bytes: Buffer | undefined;
    try {
      bytes = await this.perform(op);
    } catch (error) {
      if (error instanceof ObjectError && "code" in expected && expected.code === error.code) return;
      throw error;
    }
    if ("code" in expected) throw new Error(`${JSON.stringify(op)} succeeded instead of failing with ${expected.code}`);
    if (expected.bytes !== undefined && bytes?.equals(expected.bytes) !== true) {
      throw new Error(`${JSON.stringify(op)} answered other bytes`);
    }
  }

  /** Compares every object. */
  async assertSame(): Promise<void> {
    for (const [bucket, objects] of this.buckets) {
      const keys = await this.client.keys(bucket);
      if (keys.join() !== [...objects.keys()].sort().join()) throw new Error(`${bucket} lists ${keys.join()}`);
      for (const [key, bytes] of objects) {
        if (!(await this.client.get(`${bucket}/${key}`)).equals(bytes)) throw new Error(`${bucket}/${key} differs`);
      }
    }
  }

  /** Deletes every object and bucket; uploads are left to go with their buckets. */
  async deleteEverything(): Promise<void> {
    for (const [bucket, objects] of this.buckets) {
      for (const key of [...objects.keys()]) await this.run({ op: "delete", path: `${bucket}/${key}` });
      await this.run({ op: "delete bucket", bucket });
    }
  }

  /** Applies the operation to the model. `undefined`: it makes no sense now and is left out. */
  #expect(op: Op): Expected | undefined {
    switch (op.op) {
      case "create bucket":
        if (this.buckets.has(op.bucket)) return { code: "bucket-exists" };
        this.buckets.set(op.bucket, new Map());
        return {};
      case "delete bucket": {
        const objects = this.buckets.get(op.bucket);
        if (objects === undefined) return { code: "no-such-bucket" };
        if (objects.size > 0) return { code: "bucket-not-empty" };
        this.buckets.delete(op.bucket);
        return {};
      }
      case "put":
        return this.#set(op.path, bytesFor(op));
      case "copy": {
        if (this.#objects(op.to) === undefined || this.#objects(op.from) === undefined) {
          return { code: "no-such-bucket" };
        }
        const source = this.#object(op.from);
        return source === undefined ? { code: "no-such-key" } : this.#set(op.to, source);
      }
      case "delete": {
        const objects = this.#objects(op.path);
        if (objects === undefined) return { code: "no-such-bucket" };
        objects.delete(keyOf(op.path));
        return {};
      }
      case "get": {
        if (this.#objects(op.path) === undefined) return { code: "no-such-bucket" };
        const object = this.#object(op.path);
        if (object === undefined) return { code: "no-such-key" };
        const [start, end] = cut(object.length, op.range);
        return start < end ? { bytes: object.subarray(start, end) } : undefined;
      }
      case "start upload":
        return this.#objects(op.path) === undefined ? { code: "no-such-bucket" } : {};
      case "part":
        return this.#expectPart(op, bytesFor(op));
      case "part copy": {
        const upload = this.uploads.get(op.upload);
        if (upload === undefined) return undefined;
        const gone = this.#uploadGone(upload);
        if (gone !== undefined) return gone;
        if (this.#objects(op.from) === undefined) return { code: "no-such-bucket" };
        const source = this.#object(op.from);
        if (source === undefined) return { code: "no-such-key" };
        const [start, end] = op.range === undefined ? [0, source.length] : cut(source.length, op.range);
        // A range that is empty cannot be written down.
        return op.range !== undefined && start >= end ? undefined : this.#expectPart(op, source.subarray(start, end));
      }
      case "complete":
        return this.#expectComplete(op);
      case "abort": {
        const upload = this.uploads.get(op.upload);
        return upload === undefined ? undefined : (this.#uploadGone(upload) ?? {});
      }
      case "sweep":
      case "restart":
        return {};
    }
  }

  #expectPart(op: { upload: number; part: number }, bytes: Buffer): Expected | undefined {
    const upload = this.uploads.get(op.upload);
    if (upload === undefined) return undefined;
    const gone = this.#uploadGone(upload);
    if (gone !== undefined) return gone;
    upload.parts.set(op.part, { bytes, etag: "" });
    return {};
  }

  #expectComplete({ upload: number, drop }: { upload: number; drop: number }): Expected | undefined {
    const upload = this.uploads.get(number);
    if (upload === undefined) return undefined;
    const gone = this.#uploadGone(upload);
    if (gone !== undefined) return gone;
    const listed = listedParts(upload, drop);
    if (listed.length === 0) return { code: "invalid-part" };
    if (listed.slice(0, -1).some(({ bytes }) => bytes.length < PART_BYTES_MIN)) return { code: "part-too-small" };
    return this.#set(upload.path, Buffer.concat(listed.map(({ bytes }) => bytes)));
  }

  /** Does the operation on the gateway alone. */
  async perform(op: Op): Promise<Buffer | undefined> {
    const { client, gateway } = this;
    switch (op.op) {
      case "create bucket":
        await client.createBucket(op.bucket);
        return undefined;
      case "delete bucket":
        await client.service.deleteBucket(op.bucket);
        return undefined;
      case "put":
        await client.put(op.path, bytesFor(op));
        return undefined;
      case "copy":
        // Onto itself a copy must change something.
        await client.copy(op.from, op.to, op.from === op.to ? { attributes: PLAIN } : {});
        return undefined;
      case "delete":
        await client.delete(op.path);
        return undefined;
      case "get": {
        const [start, end] = cut(this.#object(op.path)?.length ?? 1, op.range);
        return client.getRange(op.path, { start, end: Math.max(end, start + 1) });
      }
      case "start upload": {
        const address = await client.createUpload(op.path);
        const objects = this.#objects(op.path) ?? new Map<string, Buffer>();
        // The oldest is left lying about, as many are.
        const number = [...Array(UPLOADS).keys()].find((free) => !this.uploads.has(free)) ?? 0;
        this.uploads.set(number, { address, path: op.path, objects, parts: new Map() });
        return undefined;
      }
      case "part": {
        const upload = this.#upload(op.upload);
        const { etag } = await client.part(upload.address, op.part, bytesFor(op));
        this.#partDone(upload, op.part, etag);
        return undefined;
      }
      case "part copy": {
        const upload = this.#upload(op.upload);
        const size = this.#object(op.from)?.length ?? 0;
        const [start, end] = op.range === undefined ? [0, 0] : cut(size, op.range);
        const range = op.range === undefined ? undefined : { start, end };
        const { etag } = await client.partCopy(upload.address, op.part, op.from, range);
        this.#partDone(upload, op.part, etag);
        return undefined;
      }
      case "complete": {
        const upload = this.#upload(op.upload);
        const parts = listedParts(upload, op.drop).map(({ partNumber, etag }) => ({ partNumber, etag }));
        await client.complete(upload.address, parts);
        this.uploads.delete(op.upload);
        return undefined;
      }
      case "abort":
        await client.abort(this.#upload(op.upload).address);
        this.uploads.delete(op.upload);
        return undefined;
      case "sweep":
        await gateway.sweepPastGrace();
        return undefined;
      case "restart":
        await gateway.settle();
        await gateway.restart();
        return undefined;
    }
  }

  #partDone(upload: ModelUpload, number: number, etag: string): void {
    upload.parts.set(number, { bytes: upload.parts.get(number)?.bytes ?? Buffer.alloc(0), etag });
  }

  #upload(number: number): ModelUpload {
    const upload = this.uploads.get(number);
    if (upload === undefined) throw new Error("there is no such upload");
    return upload;
  }

  /** An upload goes with its bucket, and does not come back with the next of the same name. */
  #uploadGone(upload: ModelUpload): Expected | undefined {
    const objects = this.#objects(upload.path);
    if (objects === undefined) return { code: "no-such-bucket" };
    return objects === upload.objects ? undefined : { code: "no-such-upload" };
  }

  #set(path: string, bytes: Buffer): Expected {
    const objects = this.#objects(path);
    if (objects === undefined) return { code: "no-such-bucket" };
    objects.set(keyOf(path), bytes);
    return {};
  }

  #objects(path: string): Map<string, Buffer> | undefined {
    return this.buckets.get(path.slice(0, path.indexOf("/")));
  }

  #object(path: string): Buffer | undefined {
    return this.#objects(path)?.get(keyOf(path));
  }
}

function keyOf(path: string): string {
  return path.slice(path.indexOf("/") + 1);
}

function bytesFor({ size, seed }: { readonly size: number; readonly seed: number }): Buffer {
  return Buffer.from(patternBytes(size, seed));
}

function cut(size: number, [from, to]: readonly [number, number]): [number, number] {
  return [Math.floor(size * from), Math.floor(size * to)];
}

function listedParts(upload: ModelUpload, drop: number): { partNumber: number; bytes: Buffer; etag: string }[] {
  return [...upload.parts]
    .map(([partNumber, part]) => ({ partNumber, ...part }))
    .filter(({ partNumber }) => drop === 1 || partNumber % drop !== 0)
    .sort((a, b) => a.partNumber - b.partNumber);
}
