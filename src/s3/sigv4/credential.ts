/**
 * The access keys that requests are signed with, and where they are looked up.
 */
import { S3Error } from "../errors.ts";
import { sameText } from "./signing-key.ts";

/** A pair of keys. What a lookup gives may hold more: whom they belong to. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials, which are no good without it. */
  readonly sessionToken?: string;
  readonly expiresAtMs?: number;
}

/** `undefined` where there is no such access key. */
export type CredentialLookup<C extends Credential> = (accessKeyId: string) => C | undefined | Promise<C | undefined>;

/** What a request says of its access key. */
export interface CredentialClaim {
  readonly accessKeyId: string;
  readonly sessionToken?: string;
}

/** @throws S3Error InvalidAccessKeyId, InvalidToken, ExpiredToken */
export async function findCredential<C extends Credential>(
  claim: CredentialClaim,
  lookup: CredentialLookup<C>,
  nowMs: number,
): Promise<C> {
  const credential = await lookup(claim.accessKeyId);
  const unknown = { fields: { AWSAccessKeyId: claim.accessKeyId } };
  if (credential === undefined) throw new S3Error("InvalidAccessKeyId", unknown);
  if (credential.expiresAtMs !== undefined && nowMs >= credential.expiresAtMs) throw new S3Error("ExpiredToken");
  if (credential.sessionToken === undefined) {
    if (claim.sessionToken !== undefined) throw new S3Error("InvalidToken");
    return credential;
  }
  // As AWS: a temporary access key is none without its token.
  if (claim.sessionToken === undefined) throw new S3Error("InvalidAccessKeyId", unknown);
  if (!sameText(credential.sessionToken, claim.sessionToken)) throw new S3Error("InvalidToken");
  return credential;
}
