/**
 * Writes an answer to its connection, and decides what becomes of the connection after it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answer, AnswerStream } from "./answer.ts";
import { ClientGoneError, type IncomingBody } from "./incoming-body.ts";
import { onStall } from "./stall.ts";

/** An answer may come before its request's body was read. So much of it is read to keep the connection usable... */
export const DISCARD_BYTES_MAX = 256 * 1024;
/** ... and so much before it is closed: whoever is cut while still sending may never see the answer. */
export const LINGER_BYTES_MAX = 16 * 1024 * 1024;

const SERVER = "Bulkhead";

export interface Outgoing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: IncomingBody;
  readonly requestId: string;
  readonly stallTimeoutMs: number;
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal;
  /** Whether the connection is to be closed in any case. */
  readonly closing: boolean;
  /** Told of the bytes of the answer's body as they are handed to the connection. */
  readonly onSent: (bytes: number) => void;
}

/**
 * Resolves when the answer was handed to the connection. The answer's stream is let go in any case.
 * @throws ClientGoneError; what the answer's stream throws. The connection must be destroyed then, so that nobody takes
 *   the part that was sent for the whole.
 */
export async function sendAnswer(outgoing: Outgoing, answer: Answer): Promise<void> {
  try {
    await send(outgoing, answer);
  } finally {
    if (typeof answer.body === "object") await answer.body.stream[Symbol.asyncIterator]().return?.();
  }
}

async function send(outgoing: Outgoing, answer: Answer): Promise<void> {
  const { request, response, body } = outgoing;
  if (outgoing.signal.aborted) throw new ClientGoneError();
  const reusable = !outgoing.closing && isReusable(body);
  response.writeHead(answer.status, headerList(outgoing, answer, reusable));
  const content = request.method === "HEAD" ? undefined : answer.body;
  if (typeof content === "object") await sendStream(outgoing, content);
  else if (content !== undefined) outgoing.onSent(Buffer.byteLength(content));
  const text = typeof content === "string" ? content : "";
  if (reusable || body.complete || body.stalled) {
    response.end(text);
    // Else the next request would not be found behind it. Node.js does this only for bodies that nobody began to read.
    if (reusable) body.drop();
    return;
  }
  // The client has the whole answer now, and a while to take it before the connection is closed under its hands.
  if (text === "") response.flushHeaders();
  else response.write(text);
  await body.discard(LINGER_BYTES_MAX);
  response.end();
}

/** Whether the next request can be found on the connection without reading too much. */
function isReusable(body: IncomingBody): boolean {
  if (body.complete) return true;
  if (body.stalled || body.awaitsContinue || body.length === undefined) return false;
  return body.length - body.receivedBytes <= DISCARD_BYTES_MAX;
}

/** Names and values by turns, as Node.js takes them fastest. It adds Date by itself. */
function headerList({ requestId }: Outgoing, { status, headers, body }: Answer, reusable: boolean): string[] {
  const list = ["Server", SERVER, "x-amz-request-id", requestId];
  for (const [name, value] of headers) list.push(name, value);
  if (status !== 204 && status !== 304) list.push("Content-Length", String(lengthOf(body)));
  if (!reusable) list.push("Connection", "close");
  return list;
}

function lengthOf(body: Answer["body"]): number {
  if (body === undefined) return 0;
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

async function sendStream(outgoing: Outgoing, { stream, length }: AnswerStream): Promise<void> {
  const { response, signal, onSent } = outgoing;
  let left = length;
  for await (const bytes of stream) {
    if (signal.aborted) throw new ClientGoneError();
    left -= bytes.length;
    if (left < 0) throw new RangeError("an answer's stream is longer than announced");
    onSent(bytes.length);
    if (!response.write(bytes)) await drained(outgoing);
  }
  if (left > 0) throw new RangeError("an answer's stream is shorter than announced");
}

/** Resolves when the connection takes more. @throws ClientGoneError, also when it takes nothing for too long */
function drained({ response, signal, stallTimeoutMs }: Outgoing): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      end();
      resolve();
    };
    const onGone = (): void => {
      end();
      reject(new ClientGoneError());
    };
    const endStall = onStall(response, stallTimeoutMs, onGone);
    const end = (): void => {
      endStall();
      response.off("drain", onDrain);
      signal.removeEventListener("abort", onGone);
    };
    response.on("drain", onDrain);
    signal.addEventListener("abort", onGone);
  });
}
