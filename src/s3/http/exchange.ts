/**
 * One request and its answer: their connection, and what is known of them so far.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Principal } from "../../objects/api.ts";
import type { RequestFacts } from "../../observability/events.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Random } from "../../shared/random.ts";
import type { S3ErrorCode } from "../errors.ts";
import type { S3Operation } from "../operations.ts";
import type { RawRequest, S3Request } from "../request.ts";
import { CLIENT_GONE_STATUS } from "../request-log.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { Outgoing } from "./send-answer.ts";

/** S3's own request ids have 16 digits. */
const REQUEST_ID_BYTES = 8;

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
  #sentBytes = 0;

  // Each is set as soon as it is known.
  request: S3Request | undefined;
  operation: S3Operation | undefined;
  accessKeyId: string | undefined;
  principal: Principal | undefined;
  errorCode: S3ErrorCode | undefined;
  status: number | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    how: { readonly clock: Clock; readonly random: Random; readonly stallTimeoutMs: number },
  ) {
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
    response.once("close", () => {
      if (!response.writableFinished) this.#abort.abort();
    });
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
      stallTimeoutMs: this.#stallTimeoutMs,
      onSent: (bytes) => {
        this.#sentBytes += bytes;
      },
    };
  }

  /** Calls back once, when the answer was sent or the connection is gone. */
  onClose(closed: (facts: RequestFacts) => void): void {
    this.#response.once("close", () => closed(this.#facts()));
  }

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
