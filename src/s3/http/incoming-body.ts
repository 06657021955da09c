/**
 * The body of a request as it comes off the wire: read once, no faster than it is used, and no slower than the client
 * may be.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { S3Error } from "../errors.ts";
import { onStall } from "./stall.ts";

/** Read ahead of whoever uses the bytes, beside what Node.js itself holds of a connection (64 KiB). */
export const READ_AHEAD_BYTES_MAX = 256 * 1024;

/** The connection ended before the body did. There is nobody left to be answered. */
export class ClientGoneError extends Error {
  constructor() {
    super("the client closed the connection before its request was complete");
    this.name = "ClientGoneError";
  }
}

export interface IncomingBodyOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether the client sends the body only when it is told to (`Expect: 100-continue`). */
  readonly awaitsContinue: boolean;
  readonly stallTimeoutMs: number;
}

export class IncomingBody {
  /** Content-Length; `undefined` where there is none. */
  readonly length: number | undefined;
  /** Whether the request has a body at all, be it of no byte. */
  readonly exists: boolean;
  readonly #options: IncomingBodyOptions;
  #receivedBytes = 0;
  #asked = false;
  #stalled = false;

  constructor(options: IncomingBodyOptions) {
    const { headers } = options.request;
    this.#options = options;
    // Node.js refuses what is no number, and a length beside a transfer coding.
    this.length = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
    this.exists = (this.length ?? 0) > 0 || headers["transfer-encoding"] !== undefined;
  }

  /** Bytes that arrived so far, of those that were read. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Whether the client was waited for in vain. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Whether the client waits for leave to send it, and was not given it. */
  get awaitsContinue(): boolean {
    return this.#options.awaitsContinue && !this.#asked && this.exists;
  }

  /** Whether all of it has come off the wire. */
  get complete(): boolean {
    return !this.exists || this.#options.request.complete;
  }

  /**
   * The bytes. Leaving early leaves the rest where it is. May be called once.
   * @throws S3Error RequestTimeout; ClientGoneError
   */
  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#asked) throw new TypeError("the body of a request is read once");
    if (!this.exists) return;
    const { request, response } = this.#options;
    if (this.awaitsContinue) response.writeContinue();
    this.#asked = true;
    const queue: Uint8Array[] = [];
    let queuedBytes = 0;
    let moved = (): void => {};
    const onData = (chunk: Uint8Array): void => {
      this.#receivedBytes += chunk.length;
      queuedBytes += chunk.length;
      queue.push(chunk);
      if (queuedBytes >= READ_AHEAD_BYTES_MAX) request.pause();
      moved();
    };
    const onEnd = (): void => moved();
    request.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onEnd);
    try {
      for (;;) {
        const chunk = queue.shift();
        if (chunk !== undefined) {
          queuedBytes -= chunk.length;
          yield chunk;
        } else if (request.readableEnded) {
          return;
        } else if (request.destroyed) {
          throw new ClientGoneError();
        } else {
          await this.#untilMoved((wake) => {
            moved = wake;
            if (request.isPaused()) request.resume();
          });
        }
      }
    } finally {
      request.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onEnd);
      request.pause();
    }
  }

  /** Has what is left read and forgotten, however much it is, while other things go on. */
  drop(): void {
    this.#options.request.resume();
  }

  /** Reads what is left and forgets it, up to a number of bytes. */
  async discard(bytesMax: number): Promise<void> {
    const { request } = this.#options;
    if (this.complete || request.destroyed) return;
    this.#asked = true;
    let left = bytesMax;
    const stalled = (): void => {};
    await this.#untilMoved((wake) => {
      request.on("data", (chunk: Uint8Array) => {
        left -= chunk.length;
        if (left < 0) wake();
      });
      request.once("end", wake).once("close", wake).once("error", wake).resume();
    }).catch(stalled);
    request.pause();
  }

  /** Resolves when what `start` was given is called. @throws S3Error RequestTimeout when the client stalls before */
  #untilMoved(start: (wake: () => void) => void): Promise<void> {
    const { request, stallTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const end = onStall(request, stallTimeoutMs, () => {
        end();
        this.#stalled = true;
        reject(new S3Error("RequestTimeout"));
      });
      start(() => {
        end();
        resolve();
      });
    });
  }
}
