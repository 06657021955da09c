/**
 * Whom access keys belong to. Users with keys of their own come with records of theirs; until then there is one pair.
 */
import type { Principal } from "../objects/api.ts";
import type { Credential, CredentialLookup as LookupOf } from "./sigv4/credential.ts";

/** A pair of keys and who acts with it. */
export interface S3Credential extends Credential {
  readonly principal: Principal;
}

/** Gives the credential of an access key id, or `undefined` where there is none. Asked once a request. */
export type CredentialLookup = LookupOf<S3Credential>;

/** The root user's pair, and no other. */
export function rootCredentials(accessKeyId: string, secretAccessKey: string, principal: Principal): CredentialLookup {
  const root: S3Credential = { accessKeyId, secretAccessKey, principal };
  return (asked) => (asked === accessKeyId ? root : undefined);
}
