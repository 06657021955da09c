/** Calls of the object service in the short form that tests want. */
import assert from "node:assert/strict";
import {
  type Body,
  type ByteRange,
  type CompletedPart,
  type CopyResult,
  type ExpectedDigests,
  type GetRequest,
  type ListResult,
  type ObjectAttributes,
  ObjectError,
  type ObjectErrorCode,
  type ObjectService,
  type Principal,
  type PutResult,
  type WriteConditions,
} from "../../src/objects/api.ts";
import { collect } from "./blobs.ts";

export const ALICE: Principal = { id: "alice", displayName: "alice" };
export const PLAIN: ObjectAttributes = { headers: [], metadata: [], storageClass: "STANDARD" };

export type { CompletedPart };

export interface Address {
  readonly bucket: string;
  readonly key: string;
}

/** `bucket/key` as an address. */
export function at(path: string): Address {
  const slash = path.indexOf("/");
  return { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
}

export interface PutOptions {
  readonly attributes?: Partial<ObjectAttributes>;
  readonly conditions?: WriteConditions;
  readonly expected?: ExpectedDigests;
  readonly signal?: AbortSignal;
}

type CopyOptions = Partial<Parameters<ObjectService["copyObject"]>[0]> & {
  readonly sourceConditions?: GetRequest["conditions"];
};

export interface UploadAddress extends Address {
  readonly uploadId: string;
}

/** The service at any time: a gateway that restarts has another one. */
export class ObjectClient {
  readonly #service: () => ObjectService;

  constructor(service: () => ObjectService) {
    this.#service = service;
  }

  get service(): ObjectService {
    return this.#service();
  }

  async createBucket(bucket: string): Promise<void> {
    await this.service.createBucket({ principal: ALICE, bucket, location: "" });
  }

  put(path: string, bytes: Uint8Array | Body, options: PutOptions = {}): Promise<PutResult> {
    const { attributes, conditions = {}, expected, signal } = options;
    return this.service.putObject({
      principal: ALICE,
      ...at(path),
      body: "stream" in bytes ? bytes : bodyOf(bytes, expected),
      attributes: { ...PLAIN, ...attributes },
      conditions,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async get(path: string, options: Partial<GetRequest> = {}): Promise<Buffer> {
    return collect((await this.service.getObject({ ...at(path), conditions: {}, ...options })).body);
  }

  /** The object's bytes from `start` to `end`, which is not empty. */
  getRange(path: string, { start, end }: ByteRange): Promise<Buffer> {
    return this.get(path, { range: { first: start, last: end - 1 } });
  }

  head(path: string, options: Partial<GetRequest> = {}): ReturnType<ObjectService["headObject"]> {
    return this.service.headObject({ ...at(path), conditions: {}, ...options });
  }

  delete(path: string): Promise<void> {
    return this.service.deleteObject(at(path));
  }

  copy(from: string, to: string, options: CopyOptions = {}): Promise<CopyResult> {
    const { sourceConditions = {}, ...rest } = options;
    const source = { ...at(from), conditions: sourceConditions };
    return this.service.copyObject({ principal: ALICE, ...at(to), source, conditions: {}, ...rest });
  }

  async createUpload(
    path: string,
    checksum?: Parameters<ObjectService["createUpload"]>[0]["checksum"],
  ): Promise<UploadAddress> {
    const request = { principal: ALICE, ...at(path), attributes: PLAIN };
    const { uploadId } = await this.service.createUpload(checksum === undefined ? request : { ...request, checksum });
    return { ...at(path), uploadId };
  }

  async part(
    upload: UploadAddress,
    partNumber: number,
    bytes: Uint8Array | Body,
    options: Pick<PutOptions, "expected" | "signal"> = {},
  ): Promise<CompletedPart> {
    const { expected, signal } = options;
    const body = "stream" in bytes ? bytes : bodyOf(bytes, expected);
    const request = { ...upload, partNumber, body };
    const { etag } = await this.service.uploadPart(signal === undefined ? request : { ...request, signal });
    return { partNumber, etag };
  }

  async partCopy(upload: UploadAddress, partNumber: number, from: string, range?: ByteRange): Promise<CompletedPart> {
    const request = { ...upload, partNumber, source: { ...at(from), conditions: {} } };
    const { etag } = await this.service.uploadPartCopy(range === undefined ? request : { ...request, range });
    return { partNumber, etag };
  }

  complete(
    upload: UploadAddress,
    parts: readonly CompletedPart[],
    options: Partial<Parameters<ObjectService["completeUpload"]>[0]> = {},
  ): Promise<PutResult> {
    return this.service.completeUpload({ ...upload, parts, conditions: {}, ...options });
  }

  abort(upload: UploadAddress): Promise<void> {
    return this.service.abortUpload(upload);
  }

  list(bucket: string, options: Partial<Parameters<ObjectService["listObjects"]>[0]> = {}): Promise<ListResult> {
    return this.service.listObjects({ bucket, prefix: "", delimiter: "", after: "", maxKeys: 1000, ...options });
  }

  /** The keys of all objects of a bucket. */
  async keys(bucket: string): Promise<string[]> {
    return (await this.list(bucket)).objects.map(({ key }) => key);
  }
}

/** The bytes as a body, in chunks of uneven length. */
export function bodyOf(bytes: Uint8Array, expected: ExpectedDigests = {}): Body {
  return { length: bytes.length, stream: chunksOf(bytes), expected };
}

const CHUNK_BYTES = 100_000;

export async function* chunksOf(bytes: Uint8Array, chunkBytes = CHUNK_BYTES): AsyncGenerator<Uint8Array, void> {
  for (let start = 0; start < bytes.length; start += chunkBytes) yield bytes.subarray(start, start + chunkBytes);
}

/** Fails unless the promise is rejected with an ObjectError of the code, which it returns. */
export async function assertCode(promise: Promise<unknown>, code: ObjectErrorCode): Promise<ObjectError> {
  const error: unknown = await promise.then(
    () => assert.fail(`succeeded instead of failing with ${code}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ObjectError)) throw error;
  assert.equal(error.code, code);
  return error;
}
