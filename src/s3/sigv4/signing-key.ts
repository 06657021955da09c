/**
 * Signing keys of Signature Version 4, derived once a day for each access key and region, and what they sign.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export const SERVICE = "s3";
export const TERMINATOR = "aws4_request";

/** Access keys that are in use at a time, times the two days around midnight; more are derived again (about 20 us). */
export const SIGNING_KEYS_MAX = 1024;

/** What a signature is for, beside the request. */
export interface SigningScope {
  /** `20130524` */
  readonly date: string;
  readonly region: string;
}

/** `20130524/us-east-1/s3/aws4_request` */
export function scopeText(scope: SigningScope): string {
  return `${scope.date}/${scope.region}/${SERVICE}/${TERMINATOR}`;
}

export function deriveSigningKey(secretAccessKey: string, scope: SigningScope): Buffer {
  const forDate = hmac(`AWS4${secretAccessKey}`, scope.date);
  const forRegion = hmac(forDate, scope.region);
  return hmac(hmac(forRegion, SERVICE), TERMINATOR);
}

/** Signs a string, given as one character a byte, in lower-case hexadecimal. */
export function sign(signingKey: Buffer, stringToSign: string): string {
  return createHmac("sha256", signingKey).update(stringToSign, "latin1").digest("hex");
}

/** Compares two signatures or tokens in a time that tells nothing of where they differ. */
export function sameText(expected: string, given: string): boolean {
  const expectedBytes = Buffer.from(expected, "latin1");
  const givenBytes = Buffer.from(given, "latin1");
  return expectedBytes.length === givenBytes.length && timingSafeEqual(expectedBytes, givenBytes);
}

/** Remembers the signing keys that were used last. */
export class SigningKeys {
  readonly #max: number;
  readonly #keys = new Map<string, { readonly secretAccessKey: string; readonly key: Buffer }>();

  constructor(max: number = SIGNING_KEYS_MAX) {
    this.#max = max;
  }

  get(credential: { readonly accessKeyId: string; readonly secretAccessKey: string }, scope: SigningScope): Buffer {
    const name = `${scope.date}/${scope.region}/${credential.accessKeyId}`;
    const kept = this.#keys.get(name);
    this.#keys.delete(name);
    // An access key whose secret was changed must not go on working with the old one.
    const entry =
      kept?.secretAccessKey === credential.secretAccessKey
        ? kept
        : { secretAccessKey: credential.secretAccessKey, key: deriveSigningKey(credential.secretAccessKey, scope) };
    this.#keys.set(name, entry);
    if (this.#keys.size > this.#max) {
      const [oldest] = this.#keys.keys();
      if (oldest !== undefined) this.#keys.delete(oldest);
    }
    return entry.key;
  }

  get size(): number {
    return this.#keys.size;
  }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
