/**
 * The S3 front alone: a real HTTP server on loopback over an object service in memory, a client of the SDK, and ways to
 * send what the SDK would not.
 */

import { hash } from "node:crypto";
import { once } from "node:events";
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { Logger } from "../../src/observability/logger.ts";
import type { ReadRedirects, S3Settings } from "../../src/s3/call.ts";
import { rootCredentials } from "../../src/s3/credentials.ts";
import type { RequestFacts } from "../../src/s3/request-log.ts";
import { createS3Server, type S3Limits } from "../../src/s3/server.ts";
import { loadChecksums } from "../../src/shared/checksums.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { parseXml, type XmlElement } from "../../src/shared/xml.ts";
import { FakeObjectService } from "./fake-object-service.ts";
import { type SigningKeyPair, signRequest } from "./sign-request.ts";

export const KEYS: SigningKeyPair = { accessKeyId: "ROOTKEY", secretAccessKey: "root-secret", region: "us-east-1" };
export const ROOT = { id: "root", displayName: "The Root" };

const LIMITS: S3Limits = {
  connectionsMax: 100,
  requestsMax: 100,
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 30_000,
  stallTimeoutMs: 60_000,
  keepAliveTimeoutMs: 60_000,
};

export interface FrontOptions {
  readonly settings?: Partial<S3Settings>;
  readonly limits?: Partial<S3Limits>;
  readonly redirects?: ReadRedirects;
}

export interface SentRequest {
  readonly method?: string;
  /** Path and query as they stand on the wire. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Value of x-amz-content-sha256; that of the body when absent. */
  readonly payload?: string;
  /** Whether to leave the signature out. */
  readonly anonymous?: boolean;
  readonly agent?: Agent;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A line of the log. */
export interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface Front extends AsyncDisposable {
  readonly service: FakeObjectService;
  /** The SDK with its own defaults, but for retries: there are none. */
  readonly client: S3Client;
  readonly port: number;
  readonly host: string;
  /** Requests that are over, in order. */
  readonly finished: RequestFacts[];
  readonly lines: Line[];
  /** Requests that were begun and are not over. */
  readonly open: () => number;
  readonly stopListening: () => void;
  /** The SDK with other settings. */
  clientWith(settings: S3ClientConfig): S3Client;
  /** Sends one signed request, and reads its answer. */
  send(request: SentRequest): Promise<RawAnswer>;
  /** The head of a signed request as bytes, up to the empty line. */
  head(request: SentRequest): string;
  /** A connection of its own. */
  connect(): Promise<Socket>;
}

export async function openFront(options: FrontOptions = {}): Promise<Front> {
  const service = new FakeObjectService(await loadChecksums());
  const finished: RequestFacts[] = [];
  const lines: Line[] = [];
  let open = 0;
  const settings = { region: KEYS.region, ...options.settings };
  const server = createS3Server({
    objects: service,
    credentials: rootCredentials(KEYS.accessKeyId, KEYS.secretAccessKey, ROOT),
    settings,
    ...(options.redirects !== undefined && { redirects: options.redirects }),
    limits: { ...LIMITS, ...options.limits },
    checksums: await loadChecksums(),
    clock: systemClock,
    random: seededRandom(1),
    logger: listLogger(lines),
    metrics: {
      requestStarted: () => {
        open++;
      },
      requestFinished: (facts) => {
        open--;
        finished.push(facts as RequestFacts);
      },
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  const { port } = address;
  const host = `127.0.0.1:${port}`;
  const keys = { ...KEYS, region: settings.region };
  const clients: S3Client[] = [];
  const clientWith = (more: S3ClientConfig): S3Client => {
    const client = new S3Client({
      endpoint: `http://${host}`,
      region: keys.region,
      forcePathStyle: true,
      credentials: keys,
      maxAttempts: 1,
      ...more,
    });
    clients.push(client);
    return client;
  };
  const headersOf = (request: SentRequest): Readonly<Record<string, string>> => {
    const { method = "GET", target, headers = {}, body = "" } = request;
    const sent = { host, ...headers };
    if (request.anonymous === true) return sent;
    const payload = request.payload ?? hash("sha256", body);
    return signRequest(keys, { method, target, headers: sent, payload, nowMs: systemClock.nowMs() }).headers;
  };
  return {
    service,
    client: clientWith({}),
    port,
    host,
    finished,
    lines,
    open: () => open,
    stopListening: () => void server.close(),
    clientWith,
    async send(request) {
      const { method = "GET", target: path, body, agent } = request;
      const headers = { ...headersOf(request) };
      if (body !== undefined && headers["transfer-encoding"] === undefined) {
        headers["content-length"] ??= String(Buffer.byteLength(body));
      }
      const sent = httpRequest({
        port,
        host: "127.0.0.1",
        method,
        path,
        headers,
        ...(agent !== undefined && { agent }),
      });
      // The answer may be there and the connection gone before the whole body was sent.
      sent.on("error", () => {});
      sent.end(body);
      const [answer] = await once(sent, "response");
      const pieces: Buffer[] = [];
      for await (const piece of answer) pieces.push(piece);
      return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(pieces).toString() };
    },
    head(request) {
      const { method = "GET", target } = request;
      const fields = Object.entries(headersOf(request)).map(([name, value]) => `${name}: ${value}\r\n`);
      return `${method} ${target} HTTP/1.1\r\n${fields.join("")}`;
    },
    async connect() {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The document of an answer. */
export function xmlOf({ text }: Pick<RawAnswer, "text">): XmlElement {
  return parseXml(text, { bytesMax: 2 ** 24, depthMax: 10, elementsMax: 100_000 });
}

/** Reads a connection to its end, or until what came satisfies. */
export async function readSocket(socket: Socket, until: (text: string) => boolean = () => false): Promise<string> {
  let text = "";
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    text += (piece as Buffer).toString("latin1");
    if (until(text)) break;
  }
  return text;
}

function listLogger(lines: Line[]): Logger {
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ level, fields, message });
    };
  const logger: Logger = {
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    fatal: write("fatal"),
    child: () => logger,
  };
  return logger;
}
