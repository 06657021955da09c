/**
 * Answers as values: what a handler gives back, and send-answer.ts writes.
 */
import type { HeaderPairs } from "../../objects/api.ts";
import type { S3Error } from "../errors.ts";
import { XmlWriter } from "../xml-writer.ts";

export interface Answer {
  readonly status: number;
  /** Without Content-Length, which comes from the body. */
  readonly headers: HeaderPairs;
  /** Text, sent as UTF-8; or exactly `length` bytes. To HEAD only its length is sent. */
  readonly body?: string | AnswerStream;
}

export interface AnswerStream {
  readonly length: number;
  readonly stream: AsyncIterable<Uint8Array>;
}

export function emptyAnswer(status: number, headers: HeaderPairs = []): Answer {
  return { status, headers };
}

export function xmlAnswer(document: XmlWriter, headers: HeaderPairs = []): Answer {
  return { status: 200, headers: [["Content-Type", "application/xml"], ...headers], body: document.toString() };
}

/**
 * The answer to a request that failed.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses
 */
export function errorAnswer(error: S3Error, about: { readonly resource: string; readonly requestId: string }): Answer {
  const headers = Object.entries(error.headers);
  if (error.status === 304) return { status: error.status, headers };
  const document = new XmlWriter().open("Error").element("Code", error.code).element("Message", error.message);
  for (const [name, value] of Object.entries(error.fields)) document.element(name, value);
  document.element("Resource", about.resource).element("RequestId", about.requestId);
  return {
    status: error.status,
    headers: [["Content-Type", "application/xml"], ...headers],
    body: document.toString(),
  };
}
