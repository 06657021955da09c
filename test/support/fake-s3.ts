/**
 * An S3 service in memory for tests of the S3 node driver: what an engine may do differently from MinIO is a trait,
 * and any request can be answered by the test instead. It believes every signature.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { crc32c } from "../../src/shared/crc32c.ts";

export interface FakeS3Traits {
  /** Which checksums it verifies; it takes the others for headers like any other. */
  readonly checksums: "header-and-trailer" | "header" | "none";
  /** Whether it takes the frame of an aws-chunked body off, where it verifies no trailer. */
  readonly framesUnderstood: boolean;
  /** What an object's ETag is. */
  readonly etag: "md5" | "random";
  /** Whether HEAD says in a header what is missing, as MinIO does. */
  readonly headErrorCode: boolean;
  /** Whether deleting what is not there is an error. */
  readonly deleteTellsMissing: boolean;
  /** Whether it takes If-Match and If-None-Match with a PUT; else it answers 501. */
  readonly conditionalWrites: boolean;
}

const TRAITS: FakeS3Traits = {
  checksums: "header-and-trailer",
  framesUnderstood: true,
  etag: "md5",
  headErrorCode: true,
  deleteTellsMissing: false,
  conditionalWrites: true,
};

interface FakeObject {
  bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
}

/** What the fake knows of a request when it answers. */
export interface FakeCall {
  readonly method: string;
  readonly bucket: string;
  /** Empty for a call on the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

/** Answers a request itself by returning true. The body was not read yet. */
export type Interceptor = (
  call: FakeCall,
  response: ServerResponse,
  request: IncomingMessage,
) => boolean | Promise<boolean>;

export interface FakeS3 extends AsyncDisposable {
  readonly endpoint: string;
  /** By bucket and key. */
  readonly buckets: Map<string, Map<string, FakeObject>>;
  readonly uploads: Map<string, Map<number, FakeObject>>;
  /** Every call so far, as `METHOD key?query`. */
  readonly calls: FakeCall[];
  intercept: Interceptor | undefined;
}

class FakeFailure extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export async function startFakeS3(traits: Partial<FakeS3Traits> = {}): Promise<FakeS3> {
  const state = new FakeState({ ...TRAITS, ...traits });
  const server = createServer((request, response) => {
    state.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return Object.assign(state, { endpoint: `http://127.0.0.1:${address.port}`, [Symbol.asyncDispose]: close });
}

class FakeState {
  readonly buckets = new Map<string, Map<string, FakeObject>>();
  readonly uploads = new Map<string, Map<number, FakeObject>>();
  readonly calls: FakeCall[] = [];
  intercept: Interceptor | undefined;
  readonly #traits: FakeS3Traits;
  #made = 0;

  constructor(traits: FakeS3Traits) {
    this.#traits = traits;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://fake");
    const [, bucket = "", ...rest] = pathname.split("/");
    const key = decodeURIComponent(rest.join("/"));
    const call = { method: request.method ?? "", bucket, key, query: searchParams, headers: request.headers };
    this.calls.push(call);
    if (this.intercept !== undefined && (await this.intercept(call, response, request))) return;
    try {
      if (key === "") await this.#bucket(call, response, request);
      else await this.#object(call, response, request);
    } catch (error) {
      if (!(error instanceof FakeFailure)) throw error;
      request.resume();
      answerError(call, response, error, this.#traits.headErrorCode);
    }
  }

  async #bucket({ method, bucket, query }: FakeCall, response: ServerResponse, request: IncomingMessage) {
    if (method === "PUT") {
      await readBody(request);
      this.buckets.set(bucket, this.buckets.get(bucket) ?? new Map());
      return response.end();
    }
    const objects = this.#objects(bucket);
    if (query.has("versioning")) return response.end("<VersioningConfiguration/>");
    if (query.has("lifecycle")) throw new FakeFailure(404, "NoSuchLifecycleConfiguration");
    if (query.has("object-lock")) throw new FakeFailure(501, "NotImplemented");
    if (query.get("list-type") !== "2") throw new FakeFailure(501, "NotImplemented");
    const after = query.get("start-after") ?? "";
    const matching = [...objects.keys()].sort().filter((k) => k.startsWith(query.get("prefix") ?? "") && k > after);
    const encode = query.get("encoding-type") === "url" ? encodeURIComponent : (text: string) => text;
    if (query.get("delimiter") === "/") return response.end(delimitedListing(matching, query, encode));
    const page = matching.slice(0, Number(query.get("max-keys")));
    const contents = page.map(
      (k) => `<Contents><Key>${encode(k)}</Key><Size>${objects.get(k)?.bytes.length}</Size></Contents>`,
    );
    const encoding = query.has("encoding-type") ? "<EncodingType>url</EncodingType>" : "";
    const truncated = `<IsTruncated>${page.length < matching.length}</IsTruncated>`;
    return response.end(`<ListBucketResult>${encoding}${truncated}${contents.join("")}</ListBucketResult>`);
  }

  async #object(call: FakeCall, response: ServerResponse, request: IncomingMessage): Promise<unknown> {
    const { method, bucket, key, query } = call;
    const objects = this.#objects(bucket);
    const uploadId = query.get("uploadId");
    if (method === "POST" && query.has("uploads")) {
      const id = `upload-${++this.#made}`;
      this.uploads.set(id, new Map());
      return response.end(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (uploadId !== null) return this.#upload(uploadId, { call, response, request });
    const object = objects.get(key);
    switch (method) {
      case "PUT": {
        const stored = await this.#take(request);
        const [ifMatch, ifNoneMatch] = [request.headers["if-match"], request.headers["if-none-match"]];
        const conditional = ifMatch !== undefined || ifNoneMatch !== undefined;
        if (conditional && !this.#traits.conditionalWrites) throw new FakeFailure(501, "NotImplemented");
        const isOther = ifMatch !== undefined && object?.etag !== ifMatch;
        if (isOther || (ifNoneMatch !== undefined && object !== undefined)) {
          throw new FakeFailure(412, "PreconditionFailed");
        }
        objects.set(key, stored);
        return response.writeHead(200, { etag: stored.etag, ...echo(stored) }).end();
      }
      case "GET":
      case "HEAD":
        if (object === undefined) throw new FakeFailure(404, "NoSuchKey");
        return sendObject(call, response, object);
      case "DELETE":
        if (object === undefined && this.#traits.deleteTellsMissing) throw new FakeFailure(404, "NoSuchKey");
        objects.delete(key);
        return response.writeHead(204).end();
      default:
        throw new FakeFailure(501, "NotImplemented");
    }
  }

  async #upload(
    id: string,
    { call, response, request }: { call: FakeCall; response: ServerResponse; request: IncomingMessage },
  ): Promise<unknown> {
    const parts = this.uploads.get(id);
    if (parts === undefined) throw new FakeFailure(404, "NoSuchUpload");
    if (call.method === "PUT") {
      const part = await this.#take(request);
      parts.set(Number(call.query.get("partNumber")), part);
      return response.writeHead(200, { etag: part.etag, ...echo(part) }).end();
    }
    if (call.method === "POST") {
      const listed = (await readBody(request)).toString();
      const bytes = Buffer.concat(
        [...parts.keys()].sort((a, b) => a - b).map((n) => parts.get(n)?.bytes ?? Buffer.of()),
      );
      for (const part of parts.values()) if (!listed.includes(part.etag)) throw new FakeFailure(400, "InvalidPart");
      this.#objects(call.bucket).set(call.key, { bytes, headers: {}, etag: `"parts-${parts.size}"` });
    }
    this.uploads.delete(id);
    const done = "<CompleteMultipartUploadResult><ETag>&quot;parts&quot;</ETag></CompleteMultipartUploadResult>";
    return response.end(call.method === "POST" ? `   \n<?xml version="1.0"?>${done}` : "");
  }

  /** The body as it is stored, verified as the traits say. */
  async #take(request: IncomingMessage): Promise<FakeObject> {
    const { checksums, framesUnderstood, etag } = this.#traits;
    const { headers } = request;
    let bytes = await readBody(request);
    let expected = headers["x-amz-checksum-crc32c"];
    if (headers["x-amz-content-sha256"] === "STREAMING-UNSIGNED-PAYLOAD-TRAILER" && framesUnderstood) {
      const unframed = unframe(bytes);
      bytes = unframed.bytes;
      expected = checksums === "header-and-trailer" ? unframed.checksum : undefined;
    }
    if (checksums !== "none" && expected !== undefined && expected !== crcOf(bytes)) {
      throw new FakeFailure(400, "BadDigest");
    }
    const metadata = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-meta-"));
    const digest = createHash("md5").update(bytes);
    if (etag === "random") digest.update(String(++this.#made));
    const echoed = checksums !== "none" && expected !== undefined ? { "x-amz-checksum-crc32c": expected } : {};
    const kept = { ...Object.fromEntries(metadata), ...echoed } as Record<string, string>;
    return { bytes, headers: kept, etag: `"${digest.digest("hex")}"` };
  }

  #objects(bucket: string): Map<string, FakeObject> {
    const objects = this.buckets.get(bucket);
    if (objects === undefined) throw new FakeFailure(404, "NoSuchBucket");
    return objects;
  }
}

/** A listing with the delimiter `/`, page by page; a token is the name after which its page begins. */
function delimitedListing(keys: readonly string[], query: URLSearchParams, encode: (text: string) => string): string {
  const prefix = query.get("prefix") ?? "";
  const nameOf = (key: string): string => {
    const end = key.indexOf("/", prefix.length);
    return end < 0 ? key : key.slice(0, end + 1);
  };
  const token = query.get("continuation-token") ?? "";
  const names = [...new Set(keys.map(nameOf))].filter((name) => name > token);
  const page = names.slice(0, Number(query.get("max-keys")));
  const isKey = (name: string): boolean => !name.endsWith("/") || name === prefix;
  const items = page.map((name) =>
    isKey(name)
      ? `<Contents><Key>${encode(name)}</Key><Size>1</Size></Contents>`
      : `<CommonPrefixes><Prefix>${encode(name)}</Prefix></CommonPrefixes>`,
  );
  const more = page.length < names.length;
  const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
  const head = `<EncodingType>url</EncodingType><IsTruncated>${more}</IsTruncated>${next}`;
  return `<ListBucketResult>${head}${items.join("")}</ListBucketResult>`;
}

function sendObject(
  { method, headers }: FakeCall,
  response: ServerResponse,
  { bytes, headers: kept, etag }: FakeObject,
) {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  if (from === undefined || to === undefined) {
    response.writeHead(200, { ...kept, etag, "content-length": bytes.length });
    return response.end(method === "HEAD" ? undefined : bytes);
  }
  const [start, end] = [Number(from), Math.min(Number(to) + 1, bytes.length)];
  if (start >= bytes.length) throw new FakeFailure(416, "InvalidRange");
  response.writeHead(206, {
    ...kept,
    etag,
    "content-length": end - start,
    "content-range": `bytes ${start}-${end - 1}/${bytes.length}`,
  });
  return response.end(bytes.subarray(start, end));
}

function answerError({ method }: FakeCall, response: ServerResponse, { status, code }: FakeFailure, inHeader: boolean) {
  if (method === "HEAD") {
    response.writeHead(status, inHeader ? { "x-minio-error-code": code } : {}).end();
  } else {
    response.writeHead(status).end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`);
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function unframe(framed: Buffer): { bytes: Buffer; checksum: string | undefined } {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = framed.indexOf("\r\n", at);
    const length = Number.parseInt(framed.toString("latin1", at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(length)) throw new FakeFailure(400, "IncompleteBody");
    at = lineEnd + 2;
    if (length === 0) break;
    chunks.push(framed.subarray(at, at + length));
    at += length + 2;
  }
  return { bytes: Buffer.concat(chunks), checksum: /crc32c:(\S+)\r\n/.exec(framed.toString("latin1", at))?.[1] };
}

function crcOf(bytes: Buffer): string {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(bytes));
  return crc.toString("base64");
}

function echo({ headers }: FakeObject): Record<string, string> {
  const checksum = headers["x-amz-checksum-crc32c"];
  return checksum === undefined ? {} : { "x-amz-checksum-crc32c": checksum };
}
