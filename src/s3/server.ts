/**
 * The S3 server. A request is parsed, its sender proven, its operation found and screened, and then carried out:
 * `answerTo` is that in order.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import express from "express";
import type { ObjectService } from "../objects/api.ts";
import type { Checksums } from "../shared/checksums.ts";
import type { Clock } from "../shared/clock.ts";
import type { Random } from "../shared/random.ts";
import type { Call, ReadRedirects, S3Settings } from "./call.ts";
import type { CredentialLookup, S3Credential } from "./credentials.ts";
import { S3Error } from "./errors.ts";
import { hasWriteConditions } from "./etags.ts";
import { OPERATIONS } from "./handlers/table.ts";
import { type Answer, errorAnswer } from "./http/answer.ts";
import { answerClientError } from "./http/client-error.ts";
import { Exchange } from "./http/exchange.ts";
import { ClientGoneError } from "./http/incoming-body.ts";
import { sendAnswer } from "./http/send-answer.ts";
import { toS3Error } from "./object-errors.ts";
import { detectOperation } from "./operations.ts";
import { parseS3Request, type S3Request } from "./request.ts";
import { type RequestObserver, requestFinished } from "./request-log.ts";
import { screenHeaders, screenQuery } from "./screen-headers.ts";
import { screenOwners } from "./screen-owners.ts";
import { type Authentication, authenticate } from "./sigv4/authenticate.ts";
import { withHoistedHeaders } from "./sigv4/hoisted-headers.ts";
import { SigningKeys } from "./sigv4/signing-key.ts";

/** What one server takes at most. Times in milliseconds. */
export interface S3Limits {
  /** Open connections; more are closed as they come. */
  readonly connectionsMax: number;
  /** Requests served at a time; more are answered SlowDown. */
  readonly requestsMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  /** Time in which a client must send, or take, at least one byte of a body. */
  readonly stallTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

export interface S3ServerOptions extends RequestObserver {
  readonly objects: ObjectService;
  readonly credentials: CredentialLookup;
  readonly settings: S3Settings;
  readonly redirects?: ReadRedirects;
  readonly limits: S3Limits;
  readonly checksums: Checksums;
  readonly clock: Clock;
  readonly random: Random;
}

/** How often Node.js looks for connections that are over the time for their headers. */
const CONNECTIONS_CHECK_MS = 5_000;

/** An Express application as it can be called, though its types do not say so. */
type NextHandler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** A server that does not listen yet. */
export function createS3Server(options: S3ServerOptions): Server {
  const { limits } = options;
  const service = new S3Service(options);
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  // No routes: they decode and split a path, which S3 must see as it came.
  app.use((request: IncomingMessage, response: ServerResponse) => service.serve(request, response, server));
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    // Express looks at the URL before it calls anything, and gives up on one that it cannot take apart.
    (app as NextHandler)(request, response, () => void service.serve(request, response, server));
  };
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
      // Bodies may take as long as they need while they move at all (IncomingBody).
      requestTimeout: 0,
      requireHostHeader: false,
    },
    handle,
  );
  server.maxConnections = limits.connectionsMax;
  // Bounded by their bytes; Node.js would pass over those beyond a number.
  server.maxHeadersCount = 0;
  // Requests of one connection that come before their answers each listen to its end.
  server.on("connection", (socket) => socket.setMaxListeners(0));
  server.on("checkContinue", handle);
  server.on("clientError", answerClientError);
  return server;
}

class S3Service {
  readonly #options: S3ServerOptions;
  readonly #signingKeys = new SigningKeys();
  /** The last request of each connection, served or not. */
  readonly #lastOfConnection = new WeakMap<Socket, Promise<void>>();
  #requests = 0;

  constructor(options: S3ServerOptions) {
    this.#options = options;
  }

  /**
   * Serves one request to its end, after those that came before it on its connection: a client that does not wait for
   * its answers means them one after the other. Never rejects.
   */
  serve(request: IncomingMessage, response: ServerResponse, server: Server): Promise<void> {
    const { socket } = request;
    const before = this.#lastOfConnection.get(socket) ?? Promise.resolve();
    const served = before.then(() => (socket.destroyed ? undefined : this.#serve(request, response, server)));
    this.#lastOfConnection.set(socket, served);
    return served;
  }

  async #serve(request: IncomingMessage, response: ServerResponse, server: Server): Promise<void> {
    const { limits, clock, random, metrics, logger } = this.#options;
    const exchange = new Exchange(request, response, {
      clock,
      random,
      stallTimeoutMs: limits.stallTimeoutMs,
      closed: (facts) => {
        this.#requests -= 1;
        requestFinished(this.#options, facts);
      },
    });
    this.#requests += 1;
    metrics.requestStarted();
    try {
      const answer = await this.#answerTo(exchange).catch((error: unknown) => this.#failed(exchange, error));
      exchange.status = answer.status;
      await sendAnswer({ ...exchange.outgoing, closing: !server.listening }, answer);
    } catch (error) {
      if (!(error instanceof ClientGoneError) && !exchange.gone) {
        logger.error({ err: error, requestId: exchange.requestId }, "an answer broke off");
      }
      response.destroy();
    }
  }

  async #answerTo(exchange: Exchange): Promise<Answer> {
    const { settings, credentials, clock, limits } = this.#options;
    if (this.#requests > limits.requestsMax) throw new S3Error("SlowDown", { headers: { "Retry-After": "1" } });
    const request = parseS3Request(exchange.raw, settings);
    exchange.request = request;
    const nowMs = clock.nowMs();
    const authenticator = { lookup: credentials, region: settings.region, signingKeys: this.#signingKeys };
    const authentication = await authenticate(request, authenticator, nowMs);
    const operation = detectOperation(request);
    exchange.operation = operation;
    const implemented = OPERATIONS[operation];
    if (implemented === "not-implemented") {
      throw new S3Error("NotImplemented", { message: `${operation} is not implemented.` });
    }
    const call = this.#callOf(exchange, request, { authentication, nowMs });
    screenHeaders(call.request.headers);
    if (isPresigned(authentication)) screenQuery(request.query);
    if (implemented.body === "none" && (exchange.body.length ?? 0) > 0) throw new S3Error("UnexpectedContent");
    await screenOwners(call);
    const { bucket = "", key = "" } = request;
    switch (implemented.on) {
      case "service":
        return implemented.run(call);
      case "bucket":
        return implemented.run({ ...call, bucket });
      case "object":
        return implemented.run({ ...call, bucket, key });
    }
  }

  #callOf(
    exchange: Exchange,
    request: S3Request,
    { authentication, nowMs }: { authentication: Authentication<S3Credential>; nowMs: number },
  ): Call {
    // Nothing is open to everyone yet.
    if (authentication.kind === "anonymous") throw new S3Error("AccessDenied");
    const { objects, checksums, settings, redirects } = this.#options;
    const { credential, payload: mode, chunkSigning } = authentication;
    const { principal } = credential;
    exchange.accessKeyId = credential.accessKeyId;
    exchange.principal = principal;
    return {
      objects,
      checksums,
      settings,
      request: isPresigned(authentication) ? { ...request, headers: withHoistedHeaders(request) } : request,
      payload: { incoming: exchange.body, mode, ...(chunkSigning !== undefined && { chunkSigning }) },
      principal,
      byUrl: isPresigned(authentication),
      ...(redirects !== undefined && { redirects }),
      nowMs,
      signal: exchange.signal,
    };
  }

  #failed(exchange: Exchange, thrown: unknown): Answer {
    if (thrown instanceof ClientGoneError || exchange.gone) throw new ClientGoneError();
    const { request, principal, requestId } = exchange;
    const error = toS3Error(thrown, {
      ...(principal !== undefined && { callerId: principal.id }),
      conditional: request !== undefined && hasWriteConditions(request.headers),
    });
    const { logger } = this.#options;
    if (error.code === "InternalError") {
      logger.error({ err: error.cause, requestId }, "a request failed for an unexpected reason");
    } else if (error.code === "ServiceUnavailable") {
      logger.warn({ err: error.cause, requestId }, "a request could not be served now");
    }
    exchange.errorCode = error.code;
    return errorAnswer(error, { resource: exchange.resource, requestId });
  }
}

function isPresigned(authentication: Authentication<S3Credential>): boolean {
  return authentication.kind === "signed" && authentication.from === "query";
}
