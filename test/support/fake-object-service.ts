/**
 * An object service that keeps everything in Maps: S3's semantics in their plainest form, for tests of what stands in
 * front of the service. It can be told to fail, and tells what it was asked.
 */
import { createHash } from "node:crypto";
import {
  type Body,
  type BucketInfo,
  type CopySource,
  type GetRequest,
  type GetResult,
  type HeadResult,
  type ListRequest,
  type ListResult,
  type ListUploadsRequest,
  type ListUploadsResult,
  ObjectError,
  type ObjectInfo,
  type ObjectService,
  type PartInfo,
  type UploadInfo,
} from "../../src/objects/api.ts";
import { BodyDigests } from "../../src/objects/body-digests.ts";
import type { Checksums } from "../../src/shared/checksums.ts";
import { checkRead, checkWrite, rollUp } from "./fake-object-rules.ts";

type Calls = { [Name in keyof ObjectService]: Parameters<ObjectService[Name]>[0] };
type CallName = keyof ObjectService;

interface StoredObject {
  readonly info: ObjectInfo;
  readonly bytes: Buffer;
  /** Sizes of its parts. */
  readonly parts?: readonly number[];
}

interface StoredUpload {
  readonly info: UploadInfo;
  readonly attributes: Pick<ObjectInfo, "headers" | "metadata" | "storageClass">;
  readonly parts: Map<number, { readonly info: PartInfo; readonly bytes: Buffer }>;
}

interface StoredBucket {
  readonly info: BucketInfo;
  readonly objects: Map<string, StoredObject>;
  readonly uploads: Map<string, StoredUpload>;
}

const PART_BYTES_MIN = 5 * 2 ** 20;

export class FakeObjectService implements ObjectService {
  readonly buckets = new Map<string, StoredBucket>();
  /** Every call in order, with its request. */
  readonly calls: { readonly name: CallName; readonly request: unknown }[] = [];
  /** Wall clock of everything that is written. */
  nowMs = Date.UTC(2027, 0, 2, 3, 4, 5, 678);
  /** Bodies that getObject gave, and those of them that were read to their end or let go. */
  readonly bodies = { given: 0, over: 0 };
  /** Bytes of a piece of a body that is read. */
  pieceBytes = 64 * 1024;
  readonly #checksums: Checksums;
  readonly #failures = new Map<CallName, unknown>();
  readonly #gates = new Map<CallName, Promise<void>>();
  #breakAfter: { readonly bytes: number; readonly error: unknown } | undefined;
  #ids = 0;

  constructor(checksums: Checksums) {
    this.#checksums = checksums;
  }

  /** Forgets everything. */
  clear(): void {
    this.buckets.clear();
    this.calls.length = 0;
    this.#failures.clear();
    this.#gates.clear();
    this.#breakAfter = undefined;
  }

  /** The next call of this name throws. */
  fail(name: CallName, error: unknown): void {
    this.#failures.set(name, error);
  }

  /** Calls of this name wait for the promise before they do anything. */
  hold(name: CallName, until: Promise<void>): void {
    this.#gates.set(name, until);
  }

  /** The next body that is read fails after so many bytes. */
  breakBody(bytes: number, error: unknown): void {
    this.#breakAfter = { bytes, error };
  }

  /** The request of the last call of this name. */
  last<Name extends CallName>(name: Name): Calls[Name] {
    const call = this.calls.findLast((made) => made.name === name);
    if (call === undefined) throw new Error(`${name} was not called`);
    return call.request as Calls[Name];
  }

  /** Has an object without a call. */
  place(bucket: string, key: string, bytes: Buffer): void {
    const owner = { id: "root", displayName: "" };
    const plain = { headers: [], metadata: [], storageClass: "STANDARD" };
    const info = { key, size: bytes.length, etag: "e".repeat(32), modifiedAtMs: this.nowMs, owner, ...plain };
    this.#bucket(bucket).objects.set(key, { info, bytes });
  }

  bytesOf(bucket: string, key: string): Buffer | undefined {
    return this.buckets.get(bucket)?.objects.get(key)?.bytes;
  }

  async createBucket(request: Calls["createBucket"]): Promise<BucketInfo> {
    await this.#begin("createBucket", request);
    const { bucket: name, principal: owner, location } = request;
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) throw new ObjectError("invalid-bucket-name", "no such name");
    const existing = this.buckets.get(name);
    if (existing !== undefined) {
      throw new ObjectError("bucket-exists", "exists", { bucket: name, owner: existing.info.owner.id });
    }
    const info: BucketInfo = { name, createdAtMs: this.nowMs, owner, location };
    this.buckets.set(name, { info, objects: new Map(), uploads: new Map() });
    return info;
  }

  async headBucket(bucket: string): Promise<BucketInfo> {
    await this.#begin("headBucket", bucket);
    return this.#bucket(bucket).info;
  }

  async deleteBucket(bucket: string): Promise<void> {
    await this.#begin("deleteBucket", bucket);
    if (this.#bucket(bucket).objects.size > 0) throw new ObjectError("bucket-not-empty", "not empty", { bucket });
    this.buckets.delete(bucket);
  }

  async listBuckets(request: Calls["listBuckets"]): ReturnType<ObjectService["listBuckets"]> {
    await this.#begin("listBuckets", request);
    const { prefix, after, maxBuckets } = request;
    const names = [...this.buckets.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const buckets = names.slice(0, maxBuckets).map((name) => this.#bucket(name).info);
    const last = buckets.at(-1);
    return names.length > maxBuckets && last !== undefined ? { buckets, next: last.name } : { buckets };
  }

  async putObject(request: Calls["putObject"]): ReturnType<ObjectService["putObject"]> {
    await this.#begin("putObject", request);
    const { bucket, key, body, attributes, conditions, principal } = request;
    const { objects } = this.#bucket(bucket);
    checkWrite(conditions, objects.get(key)?.info);
    if (body.length > 5 * 2 ** 30) {
      throw new ObjectError("too-large", "too large", { proposedSize: body.length, maxSizeAllowed: 5 * 2 ** 30 });
    }
    const { bytes, ...digests } = await this.#read(body);
    const info = { key, size: bytes.length, modifiedAtMs: this.nowMs, owner: principal, ...attributes, ...digests };
    objects.set(key, { info, bytes });
    return { size: bytes.length, ...digests };
  }

  async getObject(request: GetRequest, signal?: AbortSignal): Promise<GetResult> {
    await this.#begin("getObject", request);
    const { head, bytes } = this.#resolve(request);
    return { ...head, body: this.#openBody(this.#pieces(bytes, signal)) };
  }

  async headObject(request: GetRequest): Promise<HeadResult> {
    await this.#begin("headObject", request);
    return this.#resolve(request).head;
  }

  async deleteObject(request: Calls["deleteObject"]): Promise<void> {
    await this.#begin("deleteObject", request);
    const { bucket, key, ifMatch } = request;
    const { objects } = this.#bucket(bucket);
    if (ifMatch !== undefined) checkWrite({ ifMatch }, objects.get(key)?.info);
    objects.delete(key);
  }

  async deleteObjects(request: Calls["deleteObjects"]): ReturnType<ObjectService["deleteObjects"]> {
    await this.#begin("deleteObjects", request);
    const { objects } = this.#bucket(request.bucket);
    return request.targets.map((target) => {
      try {
        if (target.ifMatch !== undefined) checkWrite({ ifMatch: target.ifMatch }, objects.get(target.key)?.info);
        objects.delete(target.key);
        return { target, deleted: true };
      } catch (error) {
        if (error instanceof ObjectError) return { target, deleted: false, error };
        throw error;
      }
    });
  }

  async copyObject(request: Calls["copyObject"]): ReturnType<ObjectService["copyObject"]> {
    await this.#begin("copyObject", request);
    const { bucket, key, attributes, checksumAlgorithm, conditions, principal } = request;
    const { objects } = this.#bucket(bucket);
    checkWrite(conditions, objects.get(key)?.info);
    const source = this.#source(request.source);
    const checksum =
      checksumAlgorithm === undefined
        ? source.info.checksum
        : (await this.#digest(source.bytes, { checksum: { algorithm: checksumAlgorithm, value: () => undefined } }))
            .checksum;
    const info: ObjectInfo = {
      ...source.info,
      key,
      modifiedAtMs: this.nowMs,
      owner: principal,
      ...attributes,
      ...(checksum !== undefined && { checksum }),
    };
    objects.set(key, { ...source, info });
    return { etag: info.etag, modifiedAtMs: this.nowMs, ...(checksum !== undefined && { checksum }) };
  }

  async listObjects(request: ListRequest): Promise<ListResult> {
    await this.#begin("listObjects", request);
    const { objects } = this.#bucket(request.bucket);
    const names = rollUp([...objects.keys()], request.prefix, request.delimiter).filter(
      ({ name }) => Buffer.compare(Buffer.from(name), Buffer.from(request.after)) > 0,
    );
    const page = names.slice(0, request.maxKeys);
    const last = page.at(-1);
    return {
      objects: page.flatMap(({ name, common }) => (common ? [] : (objects.get(name)?.info ?? []))),
      commonPrefixes: page.flatMap(({ name, common }) => (common ? [name] : [])),
      ...(names.length > page.length && last !== undefined && { next: last.name }),
    };
  }

  async createUpload(request: Calls["createUpload"]): Promise<UploadInfo> {
    await this.#begin("createUpload", request);
    const { bucket, key, principal, attributes, checksum } = request;
    const info: UploadInfo = {
      uploadId: `upload-${++this.#ids}`,
      key,
      initiatedAtMs: this.nowMs,
      owner: principal,
      storageClass: attributes.storageClass,
      ...(checksum !== undefined && { checksum }),
    };
    this.#bucket(bucket).uploads.set(info.uploadId, { info, attributes, parts: new Map() });
    return info;
  }

  async uploadPart(request: Calls["uploadPart"]): ReturnType<ObjectService["uploadPart"]> {
    await this.#begin("uploadPart", request);
    const upload = this.#upload(request);
    const { bytes, ...digests } = await this.#read(request.body);
    this.#setPart(upload, request.partNumber, { bytes, ...digests });
    return digests;
  }

  async uploadPartCopy(request: Calls["uploadPartCopy"]): ReturnType<ObjectService["uploadPartCopy"]> {
    await this.#begin("uploadPartCopy", request);
    const upload = this.#upload(request);
    const source = this.#source(request.source);
    const { start, end } = request.range ?? { start: 0, end: source.bytes.length };
    if (end > source.bytes.length) {
      throw new ObjectError("invalid-range", "no such range", { actualObjectSize: source.bytes.length });
    }
    const bytes = source.bytes.subarray(start, end);
    const algorithm = upload.info.checksum?.algorithm;
    const digests = await this.#digest(
      bytes,
      algorithm === undefined ? {} : { checksum: { algorithm, value: () => undefined } },
    );
    this.#setPart(upload, request.partNumber, { bytes, ...digests });
    return { ...digests, modifiedAtMs: this.nowMs };
  }

  async completeUpload(request: Calls["completeUpload"]): ReturnType<ObjectService["completeUpload"]> {
    await this.#begin("completeUpload", request);
    const { bucket, key, uploadId, conditions } = request;
    const upload = this.#upload(request);
    const { objects, uploads } = this.#bucket(bucket);
    checkWrite(conditions, objects.get(key)?.info);
    const numbers = request.parts.map(({ partNumber }) => partNumber);
    if (numbers.some((number, index) => number <= (numbers[index - 1] ?? 0))) {
      throw new ObjectError("invalid-part-order", "out of order");
    }
    const parts = request.parts.map((listed, index) => {
      const part = upload.parts.get(listed.partNumber);
      if (part === undefined || part.info.etag !== listed.etag) {
        throw new ObjectError("invalid-part", "no such part", { partNumber: listed.partNumber, etag: listed.etag });
      }
      const { size, partNumber, etag } = part.info;
      if (index < request.parts.length - 1 && size < PART_BYTES_MIN) {
        const details = { proposedSize: size, minSizeAllowed: PART_BYTES_MIN, partNumber, etag };
        throw new ObjectError("part-too-small", "too small", details);
      }
      return part;
    });
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    const { checksum } = await this.#digest(
      bytes,
      upload.info.checksum === undefined
        ? {}
        : { checksum: { algorithm: upload.info.checksum.algorithm, value: () => undefined } },
    );
    const md5s = createHash("md5");
    for (const part of parts) md5s.update(part.info.etag, "hex");
    const info: ObjectInfo = {
      key,
      size: bytes.length,
      etag: `${md5s.digest("hex")}-${parts.length}`,
      modifiedAtMs: this.nowMs,
      owner: upload.info.owner,
      partCount: parts.length,
      ...upload.attributes,
      ...(checksum !== undefined && { checksum: { ...checksum, type: upload.info.checksum?.type ?? checksum.type } }),
    };
    objects.set(key, { info, bytes, parts: parts.map((part) => part.bytes.length) });
    uploads.delete(uploadId);
    return { etag: info.etag, size: info.size, ...(info.checksum !== undefined && { checksum: info.checksum }) };
  }

  async abortUpload(request: Calls["abortUpload"]): Promise<void> {
    await this.#begin("abortUpload", request);
    this.#upload(request);
    this.#bucket(request.bucket).uploads.delete(request.uploadId);
  }

  async listParts(request: Calls["listParts"]): ReturnType<ObjectService["listParts"]> {
    await this.#begin("listParts", request);
    const upload = this.#upload(request);
    const after = [...upload.parts.values()]
      .map(({ info }) => info)
      .filter(({ partNumber }) => partNumber > request.after)
      .sort((a, b) => a.partNumber - b.partNumber);
    const parts = after.slice(0, request.maxParts);
    const last = parts.at(-1);
    const more = after.length > parts.length && last !== undefined;
    return { upload: upload.info, parts, ...(more && { next: last.partNumber }) };
  }

  async listUploads(request: ListUploadsRequest): Promise<ListUploadsResult> {
    await this.#begin("listUploads", request);
    const { keyMarker, uploadIdMarker } = request;
    const uploads = [...this.#bucket(request.bucket).uploads.values()]
      .map(({ info }) => info)
      .filter(({ key, uploadId }) => key > keyMarker || (key === keyMarker && uploadId > uploadIdMarker))
      .sort((a, b) => (a.key === b.key ? (a.uploadId < b.uploadId ? -1 : 1) : a.key < b.key ? -1 : 1));
    const names = rollUp([...new Set(uploads.map(({ key }) => key))], request.prefix, request.delimiter);
    const entries = names.flatMap(({ name, common }): { name: string; upload?: UploadInfo }[] =>
      common ? [{ name }] : uploads.filter(({ key }) => key === name).map((upload) => ({ name, upload })),
    );
    const page = entries.slice(0, request.maxUploads);
    const last = page.at(-1);
    return {
      uploads: page.flatMap(({ upload }) => upload ?? []),
      commonPrefixes: page.flatMap(({ name, upload }) => (upload === undefined ? [name] : [])),
      ...(entries.length > page.length &&
        last !== undefined && { next: { keyMarker: last.name, uploadIdMarker: last.upload?.uploadId ?? "" } }),
    };
  }

  async #begin(name: CallName, request: unknown): Promise<void> {
    this.calls.push({ name, request });
    await this.#gates.get(name);
    if (!this.#failures.has(name)) return;
    const error = this.#failures.get(name);
    this.#failures.delete(name);
    throw error;
  }

  #bucket(name: string): StoredBucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) throw new ObjectError("no-such-bucket", "no such bucket", { bucket: name });
    return bucket;
  }

  #upload({ bucket, uploadId }: { bucket: string; uploadId: string }): StoredUpload {
    const upload = this.#bucket(bucket).uploads.get(uploadId);
    if (upload === undefined) throw new ObjectError("no-such-upload", "no such upload", { uploadId });
    return upload;
  }

  #source({ bucket, key, conditions }: CopySource): StoredObject {
    const source = this.#bucket(bucket).objects.get(key);
    if (source === undefined) throw new ObjectError("no-such-key", "no such key", { key });
    try {
      checkRead(conditions, source.info);
    } catch {
      throw new ObjectError("precondition-failed", "no match", { condition: "x-amz-copy-source-If-Match" });
    }
    return source;
  }

  #setPart(
    upload: StoredUpload,
    partNumber: number,
    part: { bytes: Buffer; etag: string; checksum?: { value: string } },
  ): void {
    const { bytes, etag, checksum } = part;
    const info: PartInfo = {
      partNumber,
      size: bytes.length,
      etag,
      modifiedAtMs: this.nowMs,
      ...(checksum !== undefined && { checksum: checksum.value }),
    };
    upload.parts.set(partNumber, { info, bytes });
  }

  #resolve({ bucket, key, versionId, range, partNumber, conditions }: GetRequest): { head: HeadResult; bytes: Buffer } {
    const { objects } = this.#bucket(bucket);
    if (versionId !== undefined && versionId !== "null") {
      throw new ObjectError("no-such-version", "no such version", { key, versionId });
    }
    const found = objects.get(key);
    if (found === undefined) throw new ObjectError("no-such-key", "no such key", { key });
    checkRead(conditions, found.info);
    const { info: object, bytes } = found;
    if (partNumber !== undefined) {
      const sizes = found.parts ?? [bytes.length];
      if (partNumber > sizes.length) {
        throw new ObjectError("invalid-part-number", "no such part", { actualPartCount: sizes.length });
      }
      const start = sizes.slice(0, partNumber - 1).reduce((sum, size) => sum + size, 0);
      const end = start + (sizes[partNumber - 1] ?? 0);
      return { head: { object, range: { start, end } }, bytes: bytes.subarray(start, end) };
    }
    if (range === undefined) return { head: { object }, bytes };
    const start = "suffix" in range ? Math.max(0, bytes.length - range.suffix) : range.first;
    const end = "suffix" in range ? bytes.length : Math.min(bytes.length, (range.last ?? bytes.length - 1) + 1);
    if (start >= end) throw new ObjectError("invalid-range", "no such range", { actualObjectSize: bytes.length });
    return { head: { object, range: { start, end } }, bytes: bytes.subarray(start, end) };
  }

  /** Counts a body as open until it is read to its end or let go, be it before it was begun. */
  #openBody(pieces: AsyncGenerator<Uint8Array, void, undefined>): AsyncIterableIterator<Uint8Array, void> {
    let open = true;
    this.bodies.given++;
    const close = <T>(step: T): T => {
      if (open) this.bodies.over++;
      open = false;
      return step;
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: () =>
        pieces.next().then(
          (step) => (step.done === true ? close(step) : step),
          (error: unknown) => {
            throw close(error);
          },
        ),
      return: () => close(pieces.return()),
    };
  }

  async *#pieces(bytes: Buffer, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const breaks = this.#breakAfter;
    this.#breakAfter = undefined;
    for (let at = 0; at < bytes.length; at += this.pieceBytes) {
      if (breaks !== undefined && at >= breaks.bytes) throw breaks.error;
      if (signal?.aborted) throw new ObjectError("aborted", "given up");
      yield bytes.subarray(at, at + this.pieceBytes);
    }
  }

  async #read(body: Body): Promise<ReturnType<BodyDigests["verify"]> & { bytes: Buffer }> {
    const digests = new BodyDigests(this.#checksums, body.expected);
    const pieces: Uint8Array[] = [];
    for await (const piece of digests.through(body.stream)) pieces.push(Buffer.from(piece));
    const bytes = Buffer.concat(pieces);
    if (bytes.length !== body.length) throw new ObjectError("incomplete-body", "another length");
    return { ...digests.verify(), bytes };
  }

  async #digest(bytes: Buffer, expected: Body["expected"]): Promise<ReturnType<BodyDigests["verify"]>> {
    const { bytes: _, ...digests } = await this.#read({ length: bytes.length, stream: piecesOf(bytes), expected });
    return digests;
  }
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
