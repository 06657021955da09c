/**
 * Bodies in `aws-chunked` coding: chunks that each carry a signature, or none, and trailing headers with checksums.
 *
 *     1000;chunk-signature=<64 hex>\r\n <4096 bytes> \r\n
 *     0;chunk-signature=<64 hex>\r\n
 *     x-amz-checksum-crc32c:sOO8/Q==\r\n
 *     x-amz-trailer-signature:<64 hex>\r\n
 *     \r\n
 *
 * Bytes are handed on before the signature of their chunk is known to be right, so that no chunk has to be held in
 * memory: whoever stores them makes nothing visible before the whole body was read without an error.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
import { createHash, type Hash, hash } from "node:crypto";
import { invalidArgument, S3Error } from "./errors.ts";
import { headerValue, type S3Headers } from "./headers.ts";
import type { ChunkSigning } from "./sigv4/authenticate.ts";
import { sameText, scopeText, sign } from "./sigv4/signing-key.ts";

/** Longest line of a chunk's header or of a trailer, its line end included. The longest that clients send has 100. */
export const LINE_BYTES_MAX = 1024;
/** Most lines of trailers. S3 knows one checksum and its signature. */
export const TRAILERS_MAX = 8;
/**
 * Smallest chunk with a signature, but for the last: else a body could make us compute one for every byte. S3 asks the
 * same of chunks without; those cost next to nothing, and the JavaScript SDK sends a stream's pieces as they come.
 */
export const SIGNED_CHUNK_BYTES_MIN = 8192;

export interface AwsChunkedOptions {
  /** `x-amz-decoded-content-length`: bytes of all chunks together. */
  readonly decodedLength: number;
  /** Where chunks, and trailers, are signed. */
  readonly signing?: ChunkSigning;
  /** The names in `x-amz-trailer`, all of which must come; `undefined` where the body has no trailers. */
  readonly trailerNames?: readonly string[];
}

/** @throws S3Error MissingContentLength, InvalidArgument */
export function readDecodedLength(headers: S3Headers): number {
  const text = headerValue(headers, "x-amz-decoded-content-length");
  if (text === undefined || text === "") throw new S3Error("MissingContentLength");
  const length = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(length)) return length;
  throw invalidArgument("x-amz-decoded-content-length must be a number of bytes", "x-amz-decoded-content-length", text);
}

/** The trailers that a request announces, in lower case. @throws S3Error InvalidRequest for any but checksums */
export function readTrailerNames(headers: S3Headers): string[] {
  const names = (headerValue(headers, "x-amz-trailer") ?? "").split(",").map((name) => name.trim().toLowerCase());
  const given = names.filter((name) => name !== "");
  if (given.every((name) => /^x-amz-checksum-[a-z0-9]+$/.test(name))) return given;
  throw new S3Error("InvalidRequest", { message: "The value specified in the x-amz-trailer header is not supported" });
}

/** The decoded bytes of a body, once, and after them its trailers. */
export class AwsChunkedBody implements AsyncIterable<Uint8Array> {
  readonly #input: AsyncIterable<Uint8Array>;
  readonly #decoder: Decoder;

  constructor(input: AsyncIterable<Uint8Array>, options: AwsChunkedOptions) {
    this.#input = input;
    this.#decoder = new Decoder(options);
  }

  /** Pieces of the input's own buffers. @throws S3Error; and what the input throws */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const bytes of this.#input) yield* this.#decoder.push(bytes);
    this.#decoder.end();
  }

  /** Lower-case name -> value. Complete once the bytes have been read to their end, empty before. */
  get trailers(): ReadonlyMap<string, string> {
    return this.#decoder.trailers;
  }
}

const CR = 0x0d;
const LF = 0x0a;
const EMPTY_SHA256 = hash("sha256", "");

type State = "chunk-header" | "chunk-data" | "chunk-end" | "trailers" | "done";

class Decoder {
  readonly #options: AwsChunkedOptions;
  #state: State = "chunk-header";
  /** The line that is being read, one character a byte. */
  #line = "";
  /** Bytes of the chunk that are still to come, and of all chunks. */
  #chunkLeft = 0;
  #decodedLeft: number;
  #chunks = 0;
  #lastChunkSize = Number.POSITIVE_INFINITY;
  #chunkHash: Hash | undefined;
  #chunkSignature = "";
  #previousSignature: string;
  readonly #trailers = new Map<string, string>();
  #trailerSignature: string | undefined;

  constructor(options: AwsChunkedOptions) {
    this.#options = options;
    this.#decodedLeft = options.decodedLength;
    this.#previousSignature = options.signing?.seedSignature ?? "";
  }

  get trailers(): ReadonlyMap<string, string> {
    return this.#state === "done" ? this.#trailers : new Map();
  }

  *push(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "done") throw malformed("The request body goes on after its last chunk");
      if (this.#state === "chunk-data") {
        const data = bytes.subarray(at, at + this.#chunkLeft);
        at += data.length;
        this.#chunkLeft -= data.length;
        this.#chunkHash?.update(data);
        if (this.#chunkLeft === 0) this.#state = "chunk-end";
        yield data;
      } else {
        at = this.#readLine(bytes, at);
      }
    }
  }

  end(): void {
    if (this.#state !== "done") throw malformed("The request body terminated unexpectedly");
  }

  /** Takes bytes up to the end of a line, and acts on it when it is complete. Only CR LF ends a line. */
  #readLine(bytes: Uint8Array, from: number): number {
    const newline = bytes.indexOf(LF, from);
    const to = newline < 0 ? bytes.length : newline + 1;
    if (this.#line.length + to - from > LINE_BYTES_MAX) throw malformed("A line of the chunked body is too long");
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
    if (newline >= 0 && this.#line.charCodeAt(this.#line.length - 2) === CR) {
      const line = this.#line.slice(0, -2);
      this.#line = "";
      this.#onLine(line);
    }
    return to;
  }

  #onLine(line: string): void {
    if (this.#state === "chunk-header") this.#onChunkHeader(line);
    else if (this.#state === "trailers") this.#onTrailer(line);
    else this.#onChunkEnd(line);
  }

  #onChunkHeader(line: string): void {
    const parts = CHUNK_HEADER.exec(line)?.groups;
    if (parts === undefined) throw malformed("The request body terminated unexpectedly");
    const size = Number.parseInt(parts["size"] ?? "", 16);
    this.#takeSignature(parts["signature"]);
    this.#chunks += 1;
    if (size > 0 && this.#options.signing !== undefined && this.#lastChunkSize < SIGNED_CHUNK_BYTES_MIN) {
      throw new S3Error("InvalidChunkSizeError", {
        fields: { Chunk: this.#chunks - 1, BadChunkSize: this.#lastChunkSize },
      });
    }
    this.#lastChunkSize = size;
    if (size > this.#decodedLeft || (size === 0 && this.#decodedLeft > 0)) throw new S3Error("IncompleteBody");
    this.#decodedLeft -= size;
    this.#chunkLeft = size;
    if (size > 0) {
      this.#state = "chunk-data";
      return;
    }
    this.#verifyChunk();
    this.#state = "trailers";
  }

  #takeSignature(signature: string | undefined): void {
    if (this.#options.signing === undefined) {
      if (signature !== undefined) throw malformed("A chunk is signed where none was announced to be");
      return;
    }
    if (signature === undefined) throw new S3Error("SignatureDoesNotMatch");
    this.#chunkSignature = signature;
    this.#chunkHash = createHash("sha256");
  }

  /** The line end after a chunk's bytes. */
  #onChunkEnd(line: string): void {
    if (line !== "") throw malformed("A chunk of the request body is longer than it says");
    this.#verifyChunk();
    this.#state = "chunk-header";
  }

  #verifyChunk(): void {
    const { signing } = this.#options;
    if (signing === undefined || this.#chunkHash === undefined) return;
    this.#verify(signing, this.#chunkSignature, [
      "AWS4-HMAC-SHA256-PAYLOAD",
      signing.amzDate,
      scopeText(signing.scope),
      this.#previousSignature,
      EMPTY_SHA256,
      this.#chunkHash.digest("hex"),
    ]);
    this.#previousSignature = this.#chunkSignature;
  }

  #onTrailer(line: string): void {
    if (line === "") {
      this.#verifyTrailers();
      this.#state = "done";
      return;
    }
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    // Some clients end the value with a bare LF, as AWS's example shows it, before the line's CR LF.
    const value = line.slice(colon + 1).trim();
    if (name === TRAILER_SIGNATURE && this.#trailerSignature === undefined) {
      this.#trailerSignature = value;
      return;
    }
    const expected = this.#options.trailerNames?.includes(name) === true && !this.#trailers.has(name);
    if (!expected || this.#trailers.size >= TRAILERS_MAX) throw new S3Error("MalformedTrailerError");
    this.#trailers.set(name, value);
  }

  #verifyTrailers(): void {
    const { signing, trailerNames } = this.#options;
    if (this.#trailers.size !== new Set(trailerNames).size) throw new S3Error("MalformedTrailerError");
    const signed = signing !== undefined && trailerNames !== undefined;
    if (signed !== (this.#trailerSignature !== undefined)) throw new S3Error("MalformedTrailerError");
    if (!signed) return;
    const lines = [...this.#trailers].map(([name, value]) => `${name}:${value}\n`).sort();
    this.#verify(signing, this.#trailerSignature ?? "", [
      "AWS4-HMAC-SHA256-TRAILER",
      signing.amzDate,
      scopeText(signing.scope),
      this.#previousSignature,
      hash("sha256", Buffer.from(lines.join(""), "latin1")),
    ]);
  }

  #verify(signing: ChunkSigning, signature: string, toSign: readonly string[]): void {
    const stringToSign = toSign.join("\n");
    if (sameText(sign(signing.signingKey, stringToSign), signature)) return;
    throw new S3Error("SignatureDoesNotMatch", {
      fields: { StringToSign: stringToSign, SignatureProvided: signature },
    });
  }
}

const TRAILER_SIGNATURE = "x-amz-trailer-signature";
const CHUNK_HEADER = /^(?<size>[0-9a-fA-F]{1,16})(?:;chunk-signature=(?<signature>[^;\s]*))?$/;

function malformed(message: string): S3Error {
  return new S3Error("IncompleteBody", { message });
}
