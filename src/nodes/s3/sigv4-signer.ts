/**
 * AWS Signature Version 4 for the data path: only what a request to a storage node needs, about 15 us of CPU each.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHmac, hash } from "node:crypto";
import type { Clock } from "../../shared/clock.ts";

/** SHA-256 of no bytes, for requests without a body. */
export const EMPTY_PAYLOAD = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/** The body is not covered by the signature; a checksum header that is signed covers it. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
/** An aws-chunked body whose checksum follows in a trailer. */
export const UNSIGNED_PAYLOAD_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

export interface SignerOptions {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** As sent in the Host header. */
  readonly host: string;
  readonly clock: Clock;
}

export interface SignableRequest {
  readonly method: string;
  /** Already in canonical form: every character outside `A-Za-z0-9-._~/` percent-encoded. */
  readonly path: string;
  /** Already in canonical form: names sorted, names and values percent-encoded, `name=` where there is no value. */
  readonly query: string;
  /** Lower-case names. Those that begin with `x-amz-` are signed; their values have no white space to fold. */
  readonly headers: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the body, or one of the constants above. */
  readonly payloadHash: string;
}

export class SigV4Signer {
  readonly #options: SignerOptions;
  #second = Number.NaN;
  #timestamp = "";
  #day = "";
  #key: Buffer = Buffer.alloc(0);

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /** All headers to send, as a flat list of names and values; Host is left to the HTTP client. */
  sign({ method, path, query, headers, payloadHash }: SignableRequest): string[] {
    this.#tick();
    const { accessKey, region, host } = this.#options;
    const signed: Record<string, string> = { host, "x-amz-content-sha256": payloadHash, "x-amz-date": this.#timestamp };
    const flat = ["x-amz-content-sha256", payloadHash, "x-amz-date", this.#timestamp];
    for (const [name, value] of Object.entries(headers)) {
      flat.push(name, value);
      if (name.startsWith("x-amz-")) signed[name] = value;
    }
    const names = Object.keys(signed).sort();
    let canonicalHeaders = "";
    for (const name of names) canonicalHeaders += `${name}:${signed[name]}\n`;
    const signedHeaders = names.join(";");
    const canonical = `${method}\n${path}\n${query}\n${canonicalHeaders}\n${signedHeaders}\n${payloadHash}`;
    const scope = `${this.#day}/${region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${this.#timestamp}\n${scope}\n${hash("sha256", canonical)}`;
    const signature = createHmac("sha256", this.#key).update(toSign).digest("hex");
    flat.push(
      "authorization",
      `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope},SignedHeaders=${signedHeaders},Signature=${signature}`,
    );
    return flat;
  }

  /** The timestamp changes once a second and the signing key once a day; both are kept until then. */
  #tick(): void {
    const second = Math.floor(this.#options.clock.nowMs() / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#timestamp = new Date(second * 1000).toISOString().replace(/[-:]|\.\d{3}/g, "");
    const day = this.#timestamp.slice(0, 8);
    if (day === this.#day) return;
    this.#day = day;
    const { secretKey, region } = this.#options;
    let key = hmac(Buffer.from(`AWS4${secretKey}`), day);
    for (const part of [region, "s3", "aws4_request"]) key = hmac(key, part);
    this.#key = key;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
