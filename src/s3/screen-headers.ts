/**
 * Headers that ask for something which is not implemented: refused by name, since to pass them over would store an
 * object otherwise than its owner believes.
 */
import { invalidArgument, S3Error } from "./errors.ts";
import type { S3Headers } from "./headers.ts";
import type { S3Query } from "./request.ts";

/** What a header's value means here: nothing that matters, or an error. */
type Rule = (name: string, value: string) => void;

const refuse: Rule = (name) => {
  const message = `A header you provided implies functionality that is not implemented: ${name}`;
  throw new S3Error("NotImplemented", { message, fields: { Header: name } });
};

const accept =
  (...values: readonly string[]): Rule =>
  (name, value) => {
    if (!values.includes(value)) refuse(name, value);
  };

/** All access is the owner's, which is what the first two grant. */
const CANNED_ACLS_MET = ["private", "bucket-owner-full-control"];
const CANNED_ACLS = [
  ...CANNED_ACLS_MET,
  "public-read",
  "public-read-write",
  "authenticated-read",
  "aws-exec-read",
  "bucket-owner-read",
  "log-delivery-write",
];

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    "x-amz-acl",
    (name, value) => {
      if (!CANNED_ACLS.includes(value)) throw invalidArgument("There is no such canned ACL", name, value);
      if (!CANNED_ACLS_MET.includes(value)) refuse(name, value);
    },
  ],
  [
    "x-amz-storage-class",
    (_, value) => {
      if (value !== "STANDARD") throw new S3Error("InvalidStorageClass", { fields: { StorageClassRequested: value } });
    },
  ],
  ["x-amz-bucket-namespace", accept("global")],
  ["x-amz-bucket-object-lock-enabled", accept("false")],
  // Conditions of directory buckets. To pass over one would delete what was to be kept.
  ["x-amz-if-match-last-modified-time", refuse],
  ["x-amz-if-match-size", refuse],
  ["x-amz-object-ownership", accept("BucketOwnerEnforced")],
  ["x-amz-tagging", refuse],
  ["x-amz-tagging-directive", accept("COPY")],
  ["x-amz-website-redirect-location", refuse],
  ["x-amz-write-offset-bytes", refuse],
]);

const REFUSED_PREFIXES = [
  "x-amz-copy-source-server-side-encryption-",
  "x-amz-grant-",
  "x-amz-object-lock-",
  "x-amz-server-side-encryption",
];

/** What turns a PUT into a copy counts as a header only; a presigned one would store an empty object. */
const REFUSED_IN_QUERY = "x-amz-copy-source";

/** @throws S3Error NotImplemented, InvalidArgument, InvalidStorageClass */
export function screenHeaders(headers: S3Headers): void {
  for (const [name, values] of headers) screen(name, values);
}

/**
 * The same for the query of a presigned URL, to which signers move headers (sigv4/hoisted-headers.ts).
 * @throws S3Error NotImplemented, InvalidArgument, InvalidStorageClass
 */
export function screenQuery(query: S3Query): void {
  for (const [parameter, values] of query) {
    const name = parameter.toLowerCase();
    if (name === REFUSED_IN_QUERY) refuse(name, "");
    screen(name, values);
  }
}

function screen(name: string, values: readonly string[]): void {
  if (!name.startsWith("x-amz-")) return;
  if (REFUSED_PREFIXES.some((prefix) => name.startsWith(prefix))) refuse(name, "");
  RULES.get(name)?.(name, values.join(","));
}
