/**
 * Writing one blob, in one request or as a multipart upload, each piece proven by what the node supports best:
 * checksum, MD5 ETag, or reading back.
 */
import { createHash } from "node:crypto";
import { combineCrc32c, crc32c } from "../../shared/crc32c.ts";
import { childText } from "../../shared/xml.ts";
import type { BlockReader } from "../block-reader.ts";
import { BLOCK_BYTES, NodeError, type PutProof } from "../storage-node.ts";
import { BlockBody, CRC32C_HEADER, encodeCrc32c } from "./block-body.ts";
import type { BucketClient } from "./bucket-client.ts";
import type { HttpReply } from "./http-transport.ts";
import { translateError } from "./s3-failure.ts";
import type { S3NodeLimits } from "./s3-options.ts";
import { UNSIGNED_PAYLOAD, UNSIGNED_PAYLOAD_TRAILER } from "./sigv4-signer.ts";
import { etagOf, trailerHeaders, type WriteProofs } from "./write-proofs.ts";

/** S3's own limit on the parts of an upload. */
const PARTS_MAX = 10_000;
/** A body of several chunks up to this is copied together: one write costs less than the copy. */
const JOIN_BYTES_MAX = 65_536;

export interface BlobWriterOptions {
  readonly client: BucketClient;
  readonly proofs: WriteProofs;
  readonly limits: S3NodeLimits;
  readonly signal: AbortSignal | undefined;
}

export interface BlobToWrite {
  /** The object's key on the node. */
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly length: number;
  readonly reader: BlockReader;
  /** Whether all blocks are in memory already: then the checksum is sent ahead of them. */
  readonly inMemory: boolean;
}

/** An object, or a part of one, that the node has taken. */
interface Piece {
  readonly etag: string;
  readonly crc32c: number;
  readonly proof: PutProof;
}

/** Where a piece goes. */
interface Target {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
}

export class BlobWriter {
  readonly #client: BucketClient;
  readonly #proofs: WriteProofs;
  readonly #limits: S3NodeLimits;
  readonly #signal: AbortSignal | undefined;

  constructor({ client, proofs, limits, signal }: BlobWriterOptions) {
    this.#client = client;
    this.#proofs = proofs;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** @throws NodeError; what the node took then may still be there, unless it is known to be wrong */
  async write(blob: BlobToWrite): Promise<PutProof> {
    const { key, headers, length, reader } = blob;
    const piece =
      length > this.#limits.multipartThresholdBytes
        ? await this.#multipart(blob)
        : blob.inMemory || length <= BLOCK_BYTES
          ? await this.#sendCollected({ key, headers }, blob)
          : await this.#sendStream({ key, headers }, { reader, length, last: true });
    if (piece.proof === "read-back") await this.#readBack(blob, piece.crc32c);
    return piece.proof;
  }

  /** Bytes that are all here go with their checksum in the head. */
  async #sendCollected(target: Target, { reader, length }: BlobToWrite): Promise<Piece> {
    const chunks: Uint8Array[] = [];
    let crc = 0;
    for (let block = await reader.next(); block !== undefined; block = await reader.next()) {
      crc = chunks.length === 0 ? block.crc32c : combineCrc32c(crc, block.crc32c, block.length);
      chunks.push(...block.chunks);
    }
    const { checksumHeader, md5Etag } = this.#proofs;
    const proof = checksumHeader ? "checksum" : md5Etag ? "etag" : "read-back";
    const reply = await this.#client.send({
      method: "PUT",
      ...target,
      headers: {
        ...target.headers,
        "content-length": String(length),
        ...(checksumHeader ? { [CRC32C_HEADER]: encodeCrc32c(crc) } : {}),
      },
      body: joined(chunks, length),
      payloadHash: UNSIGNED_PAYLOAD,
      signal: this.#signal,
    });
    return this.#taken(reply, { target, proof, crc32c: crc, md5: proof === "etag" ? md5Of(chunks) : undefined });
  }

  /** Bytes that are still coming go with their checksum in a trailer. */
  async #sendStream(
    target: Target,
    { reader, length, last }: { reader: BlockReader; length: number; last: boolean },
  ): Promise<Piece> {
    const { checksumTrailer: framed, md5Etag } = this.#proofs;
    const proof = framed ? "checksum" : md5Etag ? "etag" : "read-back";
    const body = new BlockBody({ reader, length, last, framed, withMd5: proof === "etag" });
    const reply = await this.#client.send({
      method: "PUT",
      ...target,
      headers: {
        ...target.headers,
        "content-length": String(body.contentLength),
        ...(framed ? trailerHeaders(length) : {}),
      },
      body,
      payloadHash: framed ? UNSIGNED_PAYLOAD_TRAILER : UNSIGNED_PAYLOAD,
      signal: this.#signal,
    });
    if (!body.complete) throw new NodeError("unreachable", "the node answered before it had all bytes");
    return this.#taken(reply, { target, proof, crc32c: body.crc32c, md5: body.md5() });
  }

  /** Checks what the node says of the piece that it took. */
  async #taken(
    reply: HttpReply,
    sent: { target: Target; proof: PutProof; crc32c: number; md5: string | undefined },
  ): Promise<Piece> {
    const etag = reply.header("etag");
    if (etag === undefined) throw new NodeError("unreachable", "what took the bytes is no S3 service: no ETag");
    const echoed = reply.header(CRC32C_HEADER);
    const wrong =
      (sent.proof === "checksum" && echoed !== undefined && echoed !== encodeCrc32c(sent.crc32c)) ||
      (sent.proof === "etag" && etagOf(etag) !== sent.md5);
    if (wrong) {
      if (sent.target.query === undefined) await this.#discard(sent.target.key);
      throw new NodeError("corrupt", "the node's checksum of what it took is not that of what was sent");
    }
    return { etag, crc32c: sent.crc32c, proof: sent.proof };
  }

  async #multipart({ key, headers, length, reader }: BlobToWrite): Promise<Piece> {
    const partBytes = Math.max(this.#limits.partBytes, Math.ceil(length / PARTS_MAX / BLOCK_BYTES) * BLOCK_BYTES);
    const checksummed = this.#proofs.checksumTrailer;
    const signal = this.#signal;
    const { root: created } = await this.#client.document({
      method: "POST",
      key,
      query: { uploads: "" },
      headers: { ...headers, ...(checksummed ? { "x-amz-checksum-algorithm": "CRC32C" } : {}) },
      signal,
    });
    const uploadId = childText(created, "UploadId") ?? "";
    if (uploadId === "") throw new NodeError("unreachable", "what answers is no S3 service: no upload id");
    try {
      const parts: Piece[] = [];
      let crc = 0;
      for (let sent = 0; sent < length; sent += partBytes) {
        const bytes = Math.min(partBytes, length - sent);
        const query = { partNumber: String(parts.length + 1), uploadId };
        const last = sent + bytes === length;
        const part = await this.#sendStream({ key, headers: {}, query }, { reader, length: bytes, last });
        crc = combineCrc32c(crc, part.crc32c, bytes);
        parts.push(part);
      }
      const { root } = await this.#client.document(
        { method: "POST", key, query: { uploadId }, signal },
        completion(parts, checksummed),
      );
      const etag = childText(root, "ETag");
      if (etag === undefined) throw new NodeError("unreachable", "what answers is no S3 service: no ETag");
      return { etag, crc32c: crc, proof: checksummed ? "checksum" : this.#proofs.md5Etag ? "etag" : "read-back" };
    } catch (error) {
      // In the background: the caller has a stand-in to find, and this node may not answer.
      void this.#abandon(key, uploadId);
      throw error;
    }
  }

  async #readBack({ key, length }: BlobToWrite, expected: number): Promise<void> {
    const reply = await this.#client.call({ method: "GET", key, signal: this.#signal });
    let crc = 0;
    let read = 0;
    try {
      for await (const chunk of reply.body) {
        crc = crc32c(chunk, crc);
        read += chunk.length;
      }
    } catch (error) {
      throw translateError(error);
    }
    if (read === length && crc === expected) return;
    await this.#discard(key);
    throw new NodeError("corrupt", "the node holds other bytes than were sent");
  }

  /** Removes what is known to be wrong. */
  async #discard(key: string): Promise<void> {
    try {
      await this.#client.send({ method: "DELETE", key });
    } catch {
      // The put fails anyway, its key is never used again and the orphan collector removes what is there.
    }
  }

  async #abandon(key: string, uploadId: string): Promise<void> {
    try {
      await this.#client.send({ method: "DELETE", key, query: { uploadId } });
    } catch {
      // The node's own clean-up of stale uploads has to do it.
    }
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array | readonly Uint8Array[] {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  return length <= JOIN_BYTES_MAX ? Buffer.concat(chunks, length) : chunks;
}

function md5Of(chunks: readonly Uint8Array[]): string {
  const md5 = createHash("md5");
  for (const chunk of chunks) md5.update(chunk);
  return md5.digest("hex");
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
function completion(parts: readonly Piece[], checksummed: boolean): string {
  const listed = parts.map(({ etag, crc32c: crc }, index) => {
    const checksum = checksummed ? `<ChecksumCRC32C>${encodeCrc32c(crc)}</ChecksumCRC32C>` : "";
    return `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag>${checksum}</Part>`;
  });
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join("")}</CompleteMultipartUpload>`;
}

function escapeXml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
