import { createHash, createHmac } from "node:crypto";

export interface SigningKey {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface SignedRequest {
  readonly method: string;
  readonly host: string;
  /** Must need no percent encoding. */
  readonly path: string;
  /** Sorted and percent-encoded already. */
  readonly query?: string;
  readonly payloadHash: string;
  /** Further headers to sign, their names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export const EMPTY_SHA256 = createHash("sha256").digest("hex");

const REGION = "us-east-1";

/** Headers of AWS Signature Version 4, with as little work as the load generator can get by with. */
export class Signer {
  readonly #key: SigningKey;
  #day = "";
  #dayKey: Buffer = Buffer.alloc(0);

  constructor(key: SigningKey) {
    this.#key = key;
  }

  sign(request: SignedRequest): Record<string, string> {
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const day = time.slice(0, 8);
    const signed: Record<string, string> = {
      host: request.host,
      ...request.headers,
      "x-amz-content-sha256": request.payloadHash,
      "x-amz-date": time,
    };
    const names = Object.keys(signed).sort();
    const canonical = [
      request.method,
      request.path,
      request.query ?? "",
      ...names.map((name) => `${name}:${signed[name]}`),
      "",
      names.join(";"),
      request.payloadHash,
    ].join("\n");
    const scope = `${day}/${REGION}/s3/aws4_request`;
    const digest = createHash("sha256").update(canonical).digest("hex");
    const signature = hmac(this.#keyOf(day), `AWS4-HMAC-SHA256\n${time}\n${scope}\n${digest}`).toString("hex");
    const credential = `${this.#key.accessKey}/${scope}`;
    return {
      ...signed,
      authorization: `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names.join(";")},Signature=${signature}`,
    };
  }

  #keyOf(day: string): Buffer {
    if (day !== this.#day) {
      this.#day = day;
      this.#dayKey = [day, REGION, "s3", "aws4_request"].reduce<Buffer>(
        (key, text) => hmac(key, text),
        Buffer.from(`AWS4${this.#key.secretKey}`),
      );
    }
    return this.#dayKey;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
