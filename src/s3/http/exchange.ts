/**
 * One request and its answer: their connection, and what is known of them so far.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Principal } from "../../objects/api.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Random } from "../../shared/random.ts";
import type { S3ErrorCode } from "../errors.ts";
import type { S3Operation } from "../operations.ts";
import type { RawRequest, S3Request } from "../request.ts";
import { CLIENT_GONE_STATUS, type RequestFacts } from "../request-log.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { Outgoing } from "./send-answer.ts";

/** S3's own request ids have 16 digits. */
const REQUEST_ID_BYTES = 8;

export interface ExchangeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly stallTimeoutMs: number;
  /** Called once, when the answer was sent or the connection is gone. */
  readonly closed: (facts: RequestFacts) => void;
}

export class Exchange {
  readonly requestId: string;
  readonly body: IncomingBody;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #stallTimeoutMs: number;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #remoteAddress: string | undefined;
  readonly #abort = new AbortController();
  readonly #closed: (facts: RequestFacts) => void;
  #sentBytes = 0;
  #over = false;

  // Each is set as soon as it is known.
  request: S3Request | undefined;
  operation: S3Operation | undefined;
  accessKeyId: string | undefined;
  principal: Principal | undefined;
  errorCode: S3ErrorCode | undefined;
  status: number | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, how: ExchangeOptions) {
    this.#closed = how.closed;
    this.#request = request;
    this.#response = response;
    this.#clock = how.clock;
    this.#stallTimeoutMs = how.stallTimeoutMs;
    this.#startedMs = how.clock.monotonicMs();
    // Not known any more once the connection is closed.
    this.#remoteAddress = request.socket.remoteAddress;
    this.requestId = Buffer.from(how.random.bytes(REQUEST_ID_BYTES)).toString("hex").toUpperCase();
    const awaitsContinue = request.headers.expect !== undefined && request.httpVersion !== "1.0";
    this.body = new IncomingBody({ request, response, awaitsContinue, stallTimeoutMs: how.stallTimeoutMs });
    // A response that still waits behind another one is not told when their connection closes.
    response.once("close", this.#onClose);
    request.socket.once("close", this.#onClose);
  }

  get raw(): RawRequest {
    const { method = "", url = "", rawHeaders } = this.#request;
    return { method, url, rawHeaders };
  }

  /** Aborted when the connection closes before the answer was sent. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get gone(): boolean {
    return this.#abort.signal.aborted;
  }

  /** The path as it was asked for, for the answer to an error. */
  get resource(): string {
    return this.#request.url?.split("?", 1)[0] ?? "";
  }

  get outgoing(): Omit<Outgoing, "closing"> {
    return {
      request: this.#request,
      response: this.#response,
      body: this.body,
      requestId: this.requestId,
      signal: this.signal,
      stallTimeoutMs: this.#stallTimeoutMs,
      onSent: (bytes) => {
        this.#sentBytes += bytes;
      },
    };
  }

  readonly #onClose = (): void => {
    // A connection that closes tells of it twice.
    if (this.#over) return;
    this.#over = true;
    this.#response.off("close", this.#onClose);
    this.#request.socket.off("close", this.#onClose);
    if (!this.#response.writableFinished) this.#abort.abort();
    this.#closed(this.#facts());
  };

  #facts(): RequestFacts {
    const { request, accessKeyId, errorCode } = this;
    const userAgent = this.#request.headers["user-agent"];
    return {
      requestId: this.requestId,
      operation: this.operation ?? "Unknown",
      method: this.#request.method ?? "",
      status: this.#response.headersSent && this.status !== undefined ? this.status : CLIENT_GONE_STATUS,
      durationMs: this.#clock.monotonicMs() - this.#startedMs,
      receivedBytes: this.body.receivedBytes,
      sentBytes: this.#sentBytes,
      ...(request?.bucket !== undefined && { bucket: request.bucket }),
      ...(request?.key !== undefined && { key: request.key }),
      ...(errorCode !== undefined && { errorCode }),
      ...(accessKeyId !== undefined && { accessKey: accessKeyId }),
      ...(this.#remoteAddress !== undefined && { remoteAddress: this.#remoteAddress }),
      ...(userAgent !== undefined && { userAgent }),
    };
  }
}
