/**
 * One HTTP exchange with a node, over a bounded pool of kept connections. Raw `dispatch` of undici, because its
 * conveniences (streams, fetch) cost as much again as the exchange itself.
 */
import { type Dispatcher, Pool } from "undici";
import { abortedError } from "../node-lifetime.ts";
import { NodeError } from "../storage-node.ts";
import type { S3NodeLimits } from "./s3-options.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** With the query. */
  readonly path: string;
  /** Flat list of names and values; with `content-length` where the body is iterated. */
  readonly headers: string[];
  readonly body?: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpReply {
  readonly status: number;
  /** The value of a header by its lower-case name; the first where there are several. */
  header(name: string): string | undefined;
  /** To be read to its end, iterated or discarded; else the connection stays taken. */
  readonly body: HttpReplyBody;
}

export interface HttpReplyBody extends AsyncIterable<Uint8Array> {
  /** The whole body. @throws NodeError `unreachable` when it is longer than `bytesMax` */
  bytes(bytesMax: number): Promise<Buffer>;
  /** Lets go of what was not read. Closes the connection if that is not all here yet. */
  discard(): void;
}

export class HttpTransport {
  readonly #pool: Pool;
  readonly #readBufferBytes: number;

  /** @param ca PEM of the only authorities to trust; without it the system's */
  constructor(origin: string, limits: S3NodeLimits, ca?: string) {
    this.#readBufferBytes = limits.readBufferBytes;
    this.#pool = new Pool(origin, {
      connections: limits.connectionsMax,
      pipelining: 1,
      allowH2: false,
      connectTimeout: limits.connectTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      bodyTimeout: limits.bodyTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMs,
      ...(ca === undefined ? {} : { connect: { ca } }),
    });
  }

  /**
   * Resolves with the head of the answer, whatever its status. Never retries: undici sends a request again only
   * where it had not begun to send it.
   * @throws what undici or the request's body throws; NodeError `aborted`
   */
  exchange(request: HttpRequest): Promise<HttpReply> {
    const exchange = new Exchange(request.signal, this.#readBufferBytes);
    const { method, path, headers, body } = request;
    this.#pool.dispatch(
      {
        method,
        path,
        headers,
        // undici takes any iterable of bytes; its types know only of Node's streams.
        body: (body ?? null) as Uint8Array | null,
        // undici closes the connection after each HEAD, for servers that answer it with a body; S3 servers do not.
        reset: false,
      },
      exchange,
    );
    return exchange.reply;
  }

  /** Ends the exchanges under way with the error given. */
  async close(error: Error): Promise<void> {
    await this.#pool.destroy(error);
  }
}

class Exchange implements Dispatcher.DispatchHandler, HttpReplyBody {
  readonly reply: Promise<HttpReply>;
  readonly #signal: AbortSignal | undefined;
  readonly #bufferBytes: number;
  readonly #onAbort = (): void => this.#abort(abortedError(this.#signal));
  readonly #resolve: (reply: HttpReply) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #paused = false;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal | undefined, bufferBytes: number) {
    const { promise, resolve, reject } = Promise.withResolvers<HttpReply>();
    this.reply = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#bufferBytes = bufferBytes;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure !== undefined) controller.abort(this.#failure);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are not the answer yet.
    if (status < 200) return;
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    this.#resolve({ status, header, body: this });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes >= this.#bufferBytes) {
      this.#paused = true;
      controller.pause();
    }
    this.#wake?.();
  }

  onResponseEnd(): void {
    this.#ended = true;
    this.#settled();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#failure ??= error;
    this.#reject(this.#failure);
    this.#settled();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.discard();
        return { done: true, value: undefined };
      },
    };
  }

  async bytes(bytesMax: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this) {
      length += chunk.length;
      if (length > bytesMax) throw new NodeError("unreachable", "the answer is longer than any S3 service sends");
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }

  discard(): void {
    this.#chunks = [];
    this.#bufferedBytes = 0;
    if (!this.#ended) this.#abort(new NodeError("aborted", "the reader left"));
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.#signal?.aborted) throw abortedError(this.#signal);
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bufferedBytes -= chunk.length;
        if (this.#paused && this.#bufferedBytes < this.#bufferBytes / 2) {
          this.#paused = false;
          this.#controller?.resume();
        }
        return { done: false, value: chunk };
      }
      if (this.#ended) return { done: true, value: undefined };
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #abort(error: NodeError): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = error;
    this.#reject(error);
    this.#settled();
    // A request that still waits for a connection is ended when it would have started.
    this.#controller?.abort(error);
  }

  #settled(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#wake?.();
  }
}
