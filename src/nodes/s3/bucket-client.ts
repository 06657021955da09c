/**
 * Signed S3 calls on one bucket of one node. What is no success becomes a NodeError here, and nowhere else.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/
 */
import { hash } from "node:crypto";
import { childText, parseXml, type XmlElement, type XmlLimits } from "../../shared/xml.ts";
import type { NodeLifetime } from "../node-lifetime.ts";
import { NodeError } from "../storage-node.ts";
import type { HttpReply, HttpRequest, HttpTransport } from "./http-transport.ts";
import { S3Failure, translateError } from "./s3-failure.ts";
import { EMPTY_PAYLOAD, type SigV4Signer, UNSIGNED_PAYLOAD } from "./sigv4-signer.ts";

/** Answers that say nothing and error documents have a few hundred bytes; what is longer is not from an S3 service. */
const SHORT_BYTES_MAX = 65_536;
/** What MinIO puts in the message of an InternalError: the system's words, or its own. */
const OUT_OF_SPACE = /no space left on device|disk quota exceeded|drive path full/;
const DOCUMENT_DEPTH_MAX = 16;
const DOCUMENT_ELEMENTS_MAX = 100_000;

export interface BucketCall {
  readonly method: HttpRequest["method"];
  /** The object's key; absent for a call on the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpRequest["body"];
  /** How the signature covers the body: absent means by its SHA-256 for a document, else not at all. */
  readonly payloadHash?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface AnswerDocument {
  readonly root: XmlElement;
  /** The answer's Date in milliseconds since the epoch. */
  readonly dateMs: number | undefined;
}

export interface BucketClientOptions {
  readonly bucket: string;
  readonly transport: HttpTransport;
  readonly signer: SigV4Signer;
  readonly lifetime: NodeLifetime;
  readonly documentBytesMax: number;
}

export class BucketClient {
  readonly #options: BucketClientOptions;
  readonly #documentLimits: XmlLimits;

  constructor(options: BucketClientOptions) {
    this.#options = options;
    this.#documentLimits = {
      bytesMax: options.documentBytesMax,
      depthMax: DOCUMENT_DEPTH_MAX,
      elementsMax: DOCUMENT_ELEMENTS_MAX,
    };
  }

  /**
   * Resolves with the head of a 2xx answer; the caller reads or discards its body.
   * @throws NodeError; its cause is the S3Failure where the node answered
   */
  async call(call: BucketCall): Promise<HttpReply> {
    const { bucket, transport, signer, lifetime } = this.#options;
    lifetime.enter(call.signal);
    const { method, key, headers = {}, body, signal } = call;
    const path = key === undefined ? `/${bucket}` : `/${bucket}/${key}`;
    const query = canonicalQuery(call.query);
    const payloadHash = call.payloadHash ?? (body === undefined ? EMPTY_PAYLOAD : UNSIGNED_PAYLOAD);
    const signed = signer.sign({ method, path, query, headers, payloadHash });
    try {
      const reply = await transport.exchange({
        method,
        path: query === "" ? path : `${path}?${query}`,
        headers: signed,
        signal,
        ...(body === undefined ? {} : { body }),
      });
      if (reply.status >= 200 && reply.status < 300) return reply;
      throw await failureOf(reply, method);
    } catch (error) {
      throw translateError(error);
    }
  }

  /** A call whose answer's body says nothing. */
  async send(call: BucketCall): Promise<HttpReply> {
    const reply = await this.call(call);
    await readAll(reply, SHORT_BYTES_MAX);
    return reply;
  }

  /** A whole object. @throws NodeError `refused` when it is longer than `bytesMax` */
  async read(object: { key: string; signal?: AbortSignal | undefined }, bytesMax: number): Promise<Buffer> {
    const reply = await this.call({ method: "GET", ...object });
    if (Number(reply.header("content-length") ?? 0) <= bytesMax) return readAll(reply, bytesMax);
    reply.body.discard();
    throw new NodeError("refused", "the object is longer than any that Bulkhead wrote there");
  }

  /**
   * A call that is answered with a document, sent with one or without.
   * @throws NodeError also where a 200 carries an error, as CompleteMultipartUpload may
   */
  async document(call: Omit<BucketCall, "body" | "payloadHash">, sent?: string): Promise<AnswerDocument> {
    const body = sent === undefined ? undefined : Buffer.from(sent);
    const reply = await this.call(body === undefined ? call : { ...call, body, payloadHash: hash("sha256", body) });
    try {
      const bytes = await reply.body.bytes(this.#options.documentBytesMax);
      const root = parseXml(withoutLeadingSpace(bytes), this.#documentLimits);
      if (root.name === "Error") throw failureFrom(reply, whatWentWrong(root));
      return { root, dateMs: dateOf(reply) };
    } catch (error) {
      throw translateError(error);
    }
  }
}

async function readAll(reply: HttpReply, bytesMax: number): Promise<Buffer> {
  try {
    return await reply.body.bytes(bytesMax);
  } catch (error) {
    throw translateError(error);
  }
}

interface WhatWentWrong {
  readonly code: string | undefined;
  readonly outOfSpace: boolean;
}

async function failureOf(reply: HttpReply, method: HttpRequest["method"]): Promise<S3Failure> {
  // An answer to HEAD has no body; MinIO says in a header what it would have said there.
  if (method === "HEAD") {
    reply.body.discard();
    return failureFrom(reply, { code: reply.header("x-minio-error-code"), outOfSpace: false });
  }
  return failureFrom(reply, await errorDocument(reply));
}

function failureFrom(reply: HttpReply, { code, outOfSpace }: WhatWentWrong): S3Failure {
  const requestId = reply.header("x-amz-request-id");
  return new S3Failure({ status: reply.status, code, outOfSpace, requestId, dateMs: dateOf(reply) });
}

/** What an error document says; nothing where the body is something else. */
async function errorDocument(reply: HttpReply): Promise<WhatWentWrong> {
  const limits = { bytesMax: SHORT_BYTES_MAX, depthMax: DOCUMENT_DEPTH_MAX, elementsMax: 1000 };
  try {
    const document = parseXml(await reply.body.bytes(SHORT_BYTES_MAX), limits);
    if (document.name === "Error") return whatWentWrong(document);
  } catch (error) {
    if (error instanceof NodeError && error.kind === "aborted") throw error;
    // The status is known and says enough; a proxy's page or a cut connection adds nothing.
  }
  return { code: undefined, outOfSpace: false };
}

/** The message itself is not kept: it may quote the request. */
function whatWentWrong(document: XmlElement): WhatWentWrong {
  return {
    code: childText(document, "Code"),
    outOfSpace: OUT_OF_SPACE.test(childText(document, "Message") ?? ""),
  };
}

/** Servers send spaces while a long call is under way, and not all send the XML declaration before them. */
function withoutLeadingSpace(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length && (bytes[start] ?? 0) <= 0x20) start += 1;
  return bytes.subarray(start);
}

/** The Date header in milliseconds since the epoch. */
function dateOf(reply: HttpReply): number | undefined {
  const ms = Date.parse(reply.header("date") ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function canonicalQuery(query: Readonly<Record<string, string>> | undefined): string {
  if (query === undefined) return "";
  return Object.keys(query)
    .sort()
    .map((name) => `${encode(name)}=${encode(query[name] ?? "")}`)
    .join("&");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
