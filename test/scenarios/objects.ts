/** Objects of a bucket, put and read with as little work as a client can get by with. Black-box: nothing imports src/. */
import { Pool } from "undici";
import type { Gateway } from "../support/gateway.ts";
import { EMPTY_SHA256, signRequest } from "../support/sign-request.ts";

/** An answer that takes longer is a failure. */
const TIMEOUT_MS = 60_000;

export class Objects implements AsyncDisposable {
  readonly bytes: number;
  readonly #pool: Pool;
  readonly #host: string;
  readonly #bucket: string;
  readonly #keys: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly region: string };

  /** @param bytes how long each object is */
  constructor(gateway: Gateway, { bucket, bytes }: { readonly bucket: string; readonly bytes: number }) {
    const { accessKey, secretKey } = gateway.credentials;
    this.bytes = bytes;
    this.#bucket = bucket;
    this.#host = new URL(gateway.s3Url).host;
    this.#keys = { accessKeyId: accessKey, secretAccessKey: secretKey, region: "us-east-1" };
    this.#pool = new Pool(gateway.s3Url, { connections: 64, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  }

  /** @throws Error that names the answer, where it is not a 200 */
  async createBucket(): Promise<void> {
    await this.#send("PUT", `/${this.#bucket}`, undefined);
  }

  /** Puts what belongs under the key in that revision. @throws Error that names the answer, where it is not a 200 */
  async put(key: string, revision: number): Promise<void> {
    await this.#send("PUT", `/${this.#bucket}/${key}`, this.#content(key, revision));
  }

  /** Reads a key whole. @throws Error where the answer is not a 200, or has not the bytes of that revision */
  async check(key: string, revision: number): Promise<void> {
    const found = await this.#send("GET", `/${this.#bucket}/${key}`, undefined);
    if (!found.equals(this.#content(key, revision))) throw new Error(`GET ${key} has other bytes`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close();
  }

  #content(key: string, revision: number): Buffer {
    return Buffer.alloc(this.bytes, `${key} ${revision};`);
  }

  async #send(method: "GET" | "PUT", target: string, body: Buffer | undefined): Promise<Buffer> {
    const payload = body === undefined ? EMPTY_SHA256 : "UNSIGNED-PAYLOAD";
    const request = { method, target, headers: { host: this.#host }, payload, nowMs: Date.now() };
    const { headers } = signRequest(this.#keys, request);
    const answer = await this.#pool.request({ method, path: target, headers, body: body ?? null });
    const received = Buffer.from(await answer.body.arrayBuffer());
    if (answer.statusCode === 200) return received;
    throw new Error(`${method} ${target} answered ${answer.statusCode}: ${received.toString().slice(0, 300)}`);
  }
}
