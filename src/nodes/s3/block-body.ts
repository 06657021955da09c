/**
 * Blocks of a blob as the body of a request, sent as they come, plain or framed as `aws-chunked` with the checksum
 * of all of them in a trailer.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
import { createHash } from "node:crypto";
import { combineCrc32c } from "../../shared/crc32c.ts";
import type { BlockReader } from "../block-reader.ts";
import { BLOCK_BYTES } from "../storage-node.ts";

export const CRC32C_HEADER = "x-amz-checksum-crc32c";

const CRLF_BYTES = 2;

export interface BlockBodyOptions {
  readonly reader: BlockReader;
  /** Bytes to take from the reader: whole blocks, save at the blob's end. */
  readonly length: number;
  /** Whether these are the blob's last bytes: the reader must then have come to its end before they are all sent. */
  readonly last: boolean;
  /** `aws-chunked` with a trailer, or the bytes alone. */
  readonly framed: boolean;
  readonly withMd5: boolean;
}

/** To be iterated once. */
export class BlockBody implements AsyncIterable<Uint8Array> {
  /** Bytes that go over the wire. */
  readonly contentLength: number;
  readonly #options: BlockBodyOptions;
  readonly #md5;
  #crc32c = 0;
  #taken = 0;

  constructor(options: BlockBodyOptions) {
    this.#options = options;
    this.contentLength = options.framed ? framedLength(options.length) : options.length;
    this.#md5 = options.withMd5 ? createHash("md5") : undefined;
  }

  /** Whether every byte was handed out to be sent. */
  get complete(): boolean {
    return this.#taken === this.#options.length;
  }

  /** CRC32C of the bytes handed out, combined from the blocks' own: no second pass. */
  get crc32c(): number {
    return this.#crc32c;
  }

  /** MD5 of all bytes in hex; `undefined` unless asked for. To be called once. */
  md5(): string | undefined {
    return this.#md5?.digest("hex");
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { reader, length, last, framed } = this.#options;
    while (this.#taken < length) {
      const block = await reader.next();
      // The reader throws where the source ends too early; this is its clean end.
      if (block === undefined) return;
      // Before the last bytes leave: what the node has whole, it keeps.
      if (last && this.#taken + block.length === length) await reader.next();
      this.#crc32c = this.#taken === 0 ? block.crc32c : combineCrc32c(this.#crc32c, block.crc32c, block.length);
      if (framed) yield chunkHead(block.length, this.#taken === 0);
      for (const chunk of block.chunks) {
        this.#md5?.update(chunk);
        yield chunk;
      }
      this.#taken += block.length;
    }
    if (framed) yield trailer(this.#crc32c);
  }
}

/** CRC32C as S3's headers carry it: base64 of four bytes, big-endian. */
export function encodeCrc32c(crc: number): string {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString("base64");
}

/** `bytes` framed as one chunk with a trailer. */
export function framedBytes(bytes: Uint8Array, crc32c: number): Buffer {
  return Buffer.concat([chunkHead(bytes.length, true), bytes, trailer(crc32c)]);
}

/** The end of the chunk before and the head of the next in one piece, so that one write serves both. */
function chunkHead(length: number, first: boolean): Buffer {
  return Buffer.from(`${first ? "" : "\r\n"}${length.toString(16)}\r\n`, "latin1");
}

/** The end of the last chunk, the empty chunk that ends the content, and the trailer. */
function trailer(crc32c: number): Buffer {
  return Buffer.from(`\r\n0\r\n${CRC32C_HEADER}:${encodeCrc32c(crc32c)}\r\n\r\n`, "latin1");
}

function framedLength(length: number): number {
  const rest = length % BLOCK_BYTES;
  const wholeBlocks = (length - rest) / BLOCK_BYTES;
  const heads = wholeBlocks * chunkHead(BLOCK_BYTES, false).length + (rest === 0 ? 0 : chunkHead(rest, false).length);
  // The first chunk has none before it to end.
  return heads - CRLF_BYTES + length + trailer(0).length;
}
