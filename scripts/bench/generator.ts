/**
 * The load generator, a process of its own so that its work is not counted as a server's. Reads a Job as its argument,
 * prints an Outcome. Any answer but the expected one ends it with an error: a benchmark of failures means nothing.
 */
import { crc32 } from "node:zlib";
import { Pool } from "undici";
import type { Job, Outcome } from "./job.ts";
import { EMPTY_SHA256, type SignedRequest, Signer } from "./sign.ts";

const LIST_KEYS = 1000;
/** What botocore sends; MinIO takes none above 16 MiB. */
const CHUNK_BYTES = 2 ** 20;

interface Call extends Omit<SignedRequest, "host" | "payloadHash"> {
  readonly body?: Buffer;
  /** Bytes that the answer's body must have; absent: any. */
  readonly answerBytes?: number;
}

class Generator {
  readonly #job: Job;
  readonly #pool: Pool;
  readonly #host: string;
  readonly #signer: Signer;
  /** What SDKs send now: aws-chunked with a CRC32 trailer. Made once: the client's cost is the same for every server. */
  readonly #upload: { readonly body: Buffer; readonly headers: Readonly<Record<string, string>> };

  constructor(job: Job) {
    this.#job = job;
    this.#pool = new Pool(job.url, { connections: job.concurrency, pipelining: 1 });
    this.#host = new URL(job.url).host;
    this.#signer = new Signer(job);
    this.#upload = framed(job.objectBytes);
  }

  async run(): Promise<Outcome> {
    const { operation, objects, concurrency, seconds } = this.#job;
    const once = operation === "prepare";
    if (once) await this.#send({ method: "PUT", path: `/${this.#job.bucket}` });
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    const endMs = startMs + seconds * 1000;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (once ? next < objects : performance.now() < endMs) {
        const call = this.#call(next++ % objects);
        const beganMs = performance.now();
        await this.#send(call);
        latenciesMs.push(performance.now() - beganMs);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    const tookMs = performance.now() - startMs;
    await this.#pool.close();
    latenciesMs.sort((a, b) => a - b);
    const quantile = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? Number.NaN;
    return {
      operations: latenciesMs.length,
      seconds: tookMs / 1000,
      latencyMsMedian: quantile(0.5),
      latencyMs99: quantile(0.99),
    };
  }

  #call(index: number): Call {
    const { bucket, operation, objectBytes } = this.#job;
    const path = `/${bucket}/object-${String(index).padStart(6, "0")}`;
    switch (operation) {
      case "prepare":
      case "put":
        return { method: "PUT", path, ...this.#upload };
      case "get":
        return { method: "GET", path, answerBytes: objectBytes };
      case "head":
        return { method: "HEAD", path };
      case "list":
        return { method: "GET", path: `/${bucket}`, query: `list-type=2&max-keys=${LIST_KEYS}` };
    }
  }

  #send(call: Call): Promise<void> {
    const { method, path, query, body, answerBytes } = call;
    const payloadHash = body === undefined ? EMPTY_SHA256 : "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    const headers = this.#signer.sign({ ...call, host: this.#host, payloadHash });
    return new Promise((resolve, reject) => {
      let received = 0;
      let status = 0;
      this.#pool.dispatch(
        {
          method: method as "GET" | "HEAD" | "PUT",
          path: query === undefined ? path : `${path}?${query}`,
          headers: body === undefined ? headers : { ...headers, "content-length": String(body.length) },
          body: body ?? null,
          // undici would drop the connection after each HEAD.
          reset: false,
        },
        {
          onRequestStart() {},
          onResponseStart(_controller, statusCode) {
            status = statusCode;
          },
          onResponseData(_controller, chunk) {
            received += chunk.length;
          },
          onResponseEnd() {
            const wrong = status !== 200 || (answerBytes !== undefined && received !== answerBytes);
            if (wrong) reject(new Error(`${method} ${path} answered ${status} with ${received} bytes`));
            else resolve();
          },
          onResponseError(_controller, error) {
            reject(error);
          },
        },
      );
    });
  }
}

function framed(bytes: number): { body: Buffer; headers: Record<string, string> } {
  const content = Buffer.alloc(bytes);
  for (let index = 0; index < bytes; index++) content[index] = (index * 31 + (index >> 8)) & 0xff;
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(content));
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes; start += CHUNK_BYTES) {
    const chunk = content.subarray(start, start + CHUNK_BYTES);
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  pieces.push(Buffer.from(`0\r\nx-amz-checksum-crc32:${checksum.toString("base64")}\r\n\r\n`));
  return {
    body: Buffer.concat(pieces),
    headers: {
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": String(bytes),
      "x-amz-trailer": "x-amz-checksum-crc32",
    },
  };
}

const job = JSON.parse(process.argv[2] ?? "") as Job;
process.stdout.write(`${JSON.stringify(await new Generator(job).run())}\n`);
