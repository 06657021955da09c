/**
 * Answers to what is no HTTP, or breaks a limit before there is a request. There is no response object for these.
 */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { systemErrorCode } from "../../shared/errors.ts";
import { S3Error, type S3ErrorCode } from "../errors.ts";
import { escapeXml } from "../xml-writer.ts";

const CODES: ReadonlyMap<string | undefined, S3ErrorCode> = new Map([
  ["HPE_HEADER_OVERFLOW", "RequestHeaderSectionTooLarge"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "RequestTimeout"],
]);

/** Listener of a server's `clientError`. */
export function answerClientError(cause: Error, socket: Duplex): void {
  const code = systemErrorCode(cause);
  // Nobody is there any more, or an answer is under way already.
  if (code === "ECONNRESET" || !socket.writable || hasAnswer(socket)) {
    socket.destroy();
    return;
  }
  const error = new S3Error(CODES.get(code) ?? "BadRequest");
  const document = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error.code}</Code><Message>${escapeXml(error.message)}</Message></Error>`;
  socket.end(
    [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}`,
      "Server: Bulkhead",
      "Content-Type: application/xml",
      `Content-Length: ${Buffer.byteLength(document)}`,
      "Connection: close",
      "",
      document,
    ].join("\r\n"),
  );
}

/** Node.js keeps the response that is being written on the socket; bytes of ours in between would corrupt it. */
function hasAnswer(socket: Duplex): boolean {
  const message: unknown = Reflect.get(socket, "_httpMessage");
  return typeof message === "object" && message !== null && Reflect.get(message, "headersSent") === true;
}
