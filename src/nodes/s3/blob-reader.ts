import { systemErrorCode } from "../../shared/errors.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import { type ByteRange, NodeError } from "../storage-node.ts";
import type { BucketClient } from "./bucket-client.ts";
import type { HttpReply } from "./http-transport.ts";
import { translateError } from "./s3-failure.ts";

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+|\*)$/;

export interface RangeToRead {
  readonly client: BucketClient;
  readonly lifetime: NodeLifetime;
  /** The object's key on the node. */
  readonly key: string;
  readonly range: ByteRange;
  readonly signal: AbortSignal | undefined;
}

/**
 * Resolves when the node has begun to answer with exactly the range asked for.
 * @throws NodeError; `corrupt` when the object is shorter than the range
 */
export async function readRange(read: RangeToRead): Promise<AsyncIterable<Uint8Array>> {
  const reply = await requestRange(read);
  return { [Symbol.asyncIterator]: () => new RangeIterator(read, reply) };
}

async function requestRange({ client, key, range, signal }: RangeToRead): Promise<HttpReply> {
  const headers = { range: `bytes=${range.start}-${range.end - 1}` };
  const reply = await client.call({ method: "GET", key, headers, signal });
  const error = rangeError(reply, range);
  if (error === undefined) return reply;
  reply.body.discard();
  throw error;
}

function rangeError(reply: HttpReply, { start, end }: ByteRange): NodeError | undefined {
  const length = Number.parseInt(reply.header("content-length") ?? "", 10);
  if (reply.status === 206) {
    const match = CONTENT_RANGE.exec(reply.header("content-range") ?? "");
    if (Number(match?.[1]) === start && Number(match?.[2]) === end - 1) return undefined;
    if (Number(match?.[3]) < end) return shorter();
  } else if (reply.status === 200) {
    // The whole object where all of it was asked for: some servers leave it at that.
    if (start === 0 && length === end) return undefined;
    if (length < end) return shorter();
  }
  return new NodeError("refused", "the node answers with another range than was asked for");
}

function shorter(): NodeError {
  return new NodeError("corrupt", "the object is shorter than the range asked for");
}

class RangeIterator implements AsyncIterator<Uint8Array, undefined> {
  readonly #read: RangeToRead;
  readonly #reply: HttpReply;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #at: number;

  constructor(read: RangeToRead, reply: HttpReply) {
    this.#read = read;
    this.#reply = reply;
    this.#chunks = reply.body[Symbol.asyncIterator]();
    this.#at = read.range.start;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { lifetime, signal, range } = this.#read;
    try {
      lifetime.enter(signal);
      const result = await this.#chunks.next();
      if (result.done) {
        if (this.#at < range.end) throw new NodeError("unreachable", "the answer ended before the range did");
        return { done: true, value: undefined };
      }
      this.#at += result.value.length;
      if (this.#at > range.end) throw new NodeError("refused", "the node answers with more bytes than were asked for");
      return { done: false, value: result.value };
    } catch (error) {
      this.#reply.body.discard();
      throw isCut(error) ? await this.#cutOff(translateError(error)) : translateError(error);
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#reply.body.discard();
    return { done: true, value: undefined };
  }

  /**
   * The node closed the connection in the middle. It may have died; or it found out, with its head already sent, that
   * it cannot read what it holds: MinIO ends a range like that where its own bit rot check fails. A node that is
   * alive and again gives not one byte from this place has a bad copy.
   */
  async #cutOff(first: NodeError): Promise<NodeError> {
    const { range } = this.#read;
    const again: RangeToRead = { ...this.#read, range: { start: this.#at, end: range.end } };
    try {
      const reply = await requestRange(again);
      try {
        const { done } = await reply.body[Symbol.asyncIterator]().next();
        if (!done) return first;
      } finally {
        reply.body.discard();
      }
    } catch (error) {
      if (!isCut(error)) {
        const second = translateError(error);
        return second.temporary ? first : second;
      }
    }
    return new NodeError("corrupt", "the node cannot read the bytes that it holds", { cause: first });
  }
}

/** Whether the node ended an answer early but in good order, as a dead machine or a broken network would not. */
function isCut(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "UND_ERR_SOCKET" || code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH";
}
