/**
 * Which S3 operation a request asks for, by its method, what it addresses and its query; and so by name also those that
 * are not implemented. Nothing here looks at anything that is stored.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
import { invalidArgument, S3Error } from "./errors.ts";
import type { S3Headers } from "./headers.ts";
import { queryValue, type S3Query } from "./request.ts";

type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
type Operations = Readonly<Partial<Record<Method, string>>>;

/** A query parameter that names a part of a bucket, and what each method does to it. */
const BUCKET_SUBRESOURCES = {
  abac: { GET: "GetBucketAbac", PUT: "PutBucketAbac" },
  accelerate: { GET: "GetBucketAccelerateConfiguration", PUT: "PutBucketAccelerateConfiguration" },
  acl: { GET: "GetBucketAcl", PUT: "PutBucketAcl" },
  analytics: {
    GET: "GetBucketAnalyticsConfiguration",
    PUT: "PutBucketAnalyticsConfiguration",
    DELETE: "DeleteBucketAnalyticsConfiguration",
  },
  cors: { GET: "GetBucketCors", PUT: "PutBucketCors", DELETE: "DeleteBucketCors" },
  delete: { POST: "DeleteObjects" },
  encryption: { GET: "GetBucketEncryption", PUT: "PutBucketEncryption", DELETE: "DeleteBucketEncryption" },
  "intelligent-tiering": {
    GET: "GetBucketIntelligentTieringConfiguration",
    PUT: "PutBucketIntelligentTieringConfiguration",
    DELETE: "DeleteBucketIntelligentTieringConfiguration",
  },
  inventory: {
    GET: "GetBucketInventoryConfiguration",
    PUT: "PutBucketInventoryConfiguration",
    DELETE: "DeleteBucketInventoryConfiguration",
  },
  lifecycle: {
    GET: "GetBucketLifecycleConfiguration",
    PUT: "PutBucketLifecycleConfiguration",
    DELETE: "DeleteBucketLifecycle",
  },
  location: { GET: "GetBucketLocation" },
  logging: { GET: "GetBucketLogging", PUT: "PutBucketLogging" },
  metadataAnnotationTable: { PUT: "UpdateBucketMetadataAnnotationTableConfiguration" },
  metadataConfiguration: {
    GET: "GetBucketMetadataConfiguration",
    POST: "CreateBucketMetadataConfiguration",
    DELETE: "DeleteBucketMetadataConfiguration",
  },
  metadataInventoryTable: { PUT: "UpdateBucketMetadataInventoryTableConfiguration" },
  metadataJournalTable: { PUT: "UpdateBucketMetadataJournalTableConfiguration" },
  metadataTable: {
    GET: "GetBucketMetadataTableConfiguration",
    POST: "CreateBucketMetadataTableConfiguration",
    DELETE: "DeleteBucketMetadataTableConfiguration",
  },
  metrics: {
    GET: "GetBucketMetricsConfiguration",
    PUT: "PutBucketMetricsConfiguration",
    DELETE: "DeleteBucketMetricsConfiguration",
  },
  notification: { GET: "GetBucketNotificationConfiguration", PUT: "PutBucketNotificationConfiguration" },
  "object-lock": { GET: "GetObjectLockConfiguration", PUT: "PutObjectLockConfiguration" },
  ownershipControls: {
    GET: "GetBucketOwnershipControls",
    PUT: "PutBucketOwnershipControls",
    DELETE: "DeleteBucketOwnershipControls",
  },
  policy: { GET: "GetBucketPolicy", PUT: "PutBucketPolicy", DELETE: "DeleteBucketPolicy" },
  policyStatus: { GET: "GetBucketPolicyStatus" },
  publicAccessBlock: {
    GET: "GetPublicAccessBlock",
    PUT: "PutPublicAccessBlock",
    DELETE: "DeletePublicAccessBlock",
  },
  replication: { GET: "GetBucketReplication", PUT: "PutBucketReplication", DELETE: "DeleteBucketReplication" },
  requestPayment: { GET: "GetBucketRequestPayment", PUT: "PutBucketRequestPayment" },
  session: { GET: "CreateSession" },
  tagging: { GET: "GetBucketTagging", PUT: "PutBucketTagging", DELETE: "DeleteBucketTagging" },
  uploads: { GET: "ListMultipartUploads" },
  versioning: { GET: "GetBucketVersioning", PUT: "PutBucketVersioning" },
  versions: { GET: "ListObjectVersions" },
  website: { GET: "GetBucketWebsite", PUT: "PutBucketWebsite", DELETE: "DeleteBucketWebsite" },
} as const satisfies Record<string, Operations>;

/** A query parameter that names a part of an object, and what each method does to it. */
const OBJECT_SUBRESOURCES = {
  acl: { GET: "GetObjectAcl", PUT: "PutObjectAcl" },
  annotation: { GET: "GetObjectAnnotation", PUT: "PutObjectAnnotation", DELETE: "DeleteObjectAnnotation" },
  attributes: { GET: "GetObjectAttributes" },
  encryption: { PUT: "UpdateObjectEncryption" },
  "legal-hold": { GET: "GetObjectLegalHold", PUT: "PutObjectLegalHold" },
  renameObject: { PUT: "RenameObject" },
  restore: { POST: "RestoreObject" },
  retention: { GET: "GetObjectRetention", PUT: "PutObjectRetention" },
  select: { POST: "SelectObjectContent" },
  tagging: { GET: "GetObjectTagging", PUT: "PutObjectTagging", DELETE: "DeleteObjectTagging" },
  torrent: { GET: "GetObjectTorrent" },
  uploadId: {
    GET: "ListParts",
    PUT: "UploadPart",
    POST: "CompleteMultipartUpload",
    DELETE: "AbortMultipartUpload",
  },
  uploads: { POST: "CreateMultipartUpload" },
} as const satisfies Record<string, Operations>;

const SERVICE_OPERATIONS = { GET: "ListBuckets" } as const satisfies Operations;

const BUCKET_OPERATIONS = {
  GET: "ListObjects",
  HEAD: "HeadBucket",
  PUT: "CreateBucket",
  // An HTML form; its API has no name in the SDKs.
  POST: "PostObject",
  DELETE: "DeleteBucket",
} as const satisfies Operations;

const OBJECT_OPERATIONS = {
  GET: "GetObject",
  HEAD: "HeadObject",
  PUT: "PutObject",
  DELETE: "DeleteObject",
} as const satisfies Operations;

/** Told apart from one above by more than a subresource and a method. */
const OTHER_OPERATIONS = [
  "CopyObject",
  "ListBucketAnalyticsConfigurations",
  "ListBucketIntelligentTieringConfigurations",
  "ListBucketInventoryConfigurations",
  "ListBucketMetricsConfigurations",
  "ListDirectoryBuckets",
  "ListObjectAnnotations",
  "ListObjectsV2",
  // A browser's question before a cross-origin request; its API has no name in the SDKs.
  "PreflightRequest",
  "UploadPartCopy",
  "WriteGetObjectResponse",
] as const;

type Values<T> = T extends unknown ? T[keyof T] : never;

export type S3Operation =
  | Values<Values<typeof BUCKET_SUBRESOURCES>>
  | Values<Values<typeof OBJECT_SUBRESOURCES>>
  | Values<typeof SERVICE_OPERATIONS>
  | Values<typeof BUCKET_OPERATIONS>
  | Values<typeof OBJECT_OPERATIONS>
  | (typeof OTHER_OPERATIONS)[number];

type OperationsOf<M extends string> = Readonly<Partial<Record<M, S3Operation>>>;
type Subresources = ReadonlyMap<string, OperationsOf<string>>;

const bucketSubresources: Subresources = new Map(Object.entries(BUCKET_SUBRESOURCES));
const objectSubresources: Subresources = new Map(Object.entries(OBJECT_SUBRESOURCES));

/** Every operation there is, in order of their names. */
export const S3_OPERATIONS: readonly S3Operation[] = [
  ...new Set([
    ...[...bucketSubresources.values(), ...objectSubresources.values()].flatMap(operationsOf),
    ...[SERVICE_OPERATIONS, BUCKET_OPERATIONS, OBJECT_OPERATIONS].flatMap(operationsOf),
    ...OTHER_OPERATIONS,
  ]),
].sort();

/** Reading a configuration by its `id`, and the operation that lists them all where none is given. */
const LISTS: ReadonlyMap<S3Operation, { readonly parameter: string; readonly list: S3Operation }> = new Map([
  ["GetBucketAnalyticsConfiguration", { parameter: "id", list: "ListBucketAnalyticsConfigurations" }],
  ["GetBucketIntelligentTieringConfiguration", { parameter: "id", list: "ListBucketIntelligentTieringConfigurations" }],
  ["GetBucketInventoryConfiguration", { parameter: "id", list: "ListBucketInventoryConfigurations" }],
  ["GetBucketMetricsConfiguration", { parameter: "id", list: "ListBucketMetricsConfigurations" }],
  ["GetObjectAnnotation", { parameter: "annotationName", list: "ListObjectAnnotations" }],
]);

/** The parts of a request (request.ts) that decide what it asks for. */
export interface OperationRequest {
  readonly method: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  readonly query: S3Query;
  readonly headers: S3Headers;
}

/**
 * The operation of a request. Parameters that S3 does not know change nothing. A subresource is never passed over in a
 * call that changes something: `DELETE /bucket?acl` must not delete the bucket.
 * @throws S3Error MethodNotAllowed, InvalidArgument, InvalidRequest for what is no operation
 */
export function detectOperation(request: OperationRequest): S3Operation {
  if (request.method === "OPTIONS") return "PreflightRequest";
  if (request.bucket === undefined) return serviceOperation(request);
  if (request.key === undefined) return bucketOperation(request);
  const operation = objectOperation(request);
  const copies = operation === "CopyObject" || operation === "UploadPartCopy";
  if (!copies && request.headers.has("x-amz-copy-source")) {
    throw invalidArgument("You can only specify a copy source header for copy requests.", "x-amz-copy-source");
  }
  return operation;
}

function serviceOperation(request: OperationRequest): S3Operation {
  const operation = pick(SERVICE_OPERATIONS, request.method, "SERVICE");
  return request.query.has("max-directory-buckets") ? "ListDirectoryBuckets" : operation;
}

function bucketOperation(request: OperationRequest): S3Operation {
  const { method, query } = request;
  if (request.bucket === "WriteGetObjectResponse" && request.headers.has("x-amz-request-route")) {
    return "WriteGetObjectResponse";
  }
  const subresource = subresourceOf(query, bucketSubresources);
  if (subresource !== undefined) return listOrGet(pick(subresource.operations, method, "BUCKET"), query);
  if (changes(method) && hasAny(query, objectSubresources)) {
    throw new S3Error("InvalidRequest", { message: "A key must be specified" });
  }
  const operation = pick(BUCKET_OPERATIONS, method, "BUCKET");
  return operation === "ListObjects" ? listingOperation(query) : operation;
}

function objectOperation(request: OperationRequest): S3Operation {
  const { method, query, headers } = request;
  const subresource = subresourceOf(query, objectSubresources);
  if (method === "GET") refuseKey(query);
  if (subresource !== undefined) {
    const { name, operations } = subresource;
    const operation = pick(operations, method, name === "uploadId" ? "UPLOAD" : "OBJECT");
    if (operation === "UploadPart") {
      if (!query.has("partNumber")) throw methodNotAllowed(method, "UPLOAD", ["DELETE", "POST", "GET"]);
      return headers.has("x-amz-copy-source") ? "UploadPartCopy" : operation;
    }
    if (operation === "SelectObjectContent" && queryValue(query, "select-type") !== "2") {
      throw methodNotAllowed(method, "OBJECT", methodsOf(OBJECT_OPERATIONS));
    }
    return listOrGet(operation, query);
  }
  if (changes(method)) {
    const misplaced = [...query.keys()].find((name) => bucketSubresources.has(name));
    if (misplaced !== undefined) throw keyNotExpected(method, misplaced);
  }
  const operation = pick(OBJECT_OPERATIONS, method, "OBJECT");
  if (operation !== "PutObject") return operation;
  if (query.has("partNumber")) {
    const value = queryValue(query, "partNumber");
    throw invalidArgument("This operation does not accept partNumber without uploadId", "partNumber", value);
  }
  return headers.has("x-amz-copy-source") ? "CopyObject" : operation;
}

function listingOperation(query: S3Query): S3Operation {
  const listType = queryValue(query, "list-type");
  if (listType === undefined) return "ListObjects";
  if (listType === "2") return "ListObjectsV2";
  throw invalidArgument("Invalid List Type specified in Request", "list-type", listType);
}

function listOrGet(operation: S3Operation, query: S3Query): S3Operation {
  const lists = LISTS.get(operation);
  return lists !== undefined && !query.has(lists.parameter) ? lists.list : operation;
}

/** What S3 itself refuses to read of a key; other subresources of buckets are passed over in a GET of an object. */
function refuseKey(query: S3Query): void {
  if (query.has("uploads")) throw keyNotExpected("GET", "uploads");
  if (query.has("versions")) {
    throw new S3Error("InvalidRequest", { message: "There is no such thing as the ?versions sub-resource for a key" });
  }
}

function keyNotExpected(method: string, subresource: string): S3Error {
  return new S3Error("InvalidRequest", {
    message: `Key is not expected for the ${method} method ?${subresource} subresource`,
  });
}

/** The subresource that a query names. @throws S3Error InvalidArgument where it names several */
function subresourceOf(
  query: S3Query,
  known: Subresources,
): { name: string; operations: OperationsOf<string> } | undefined {
  let found: { name: string; operations: OperationsOf<string> } | undefined;
  for (const name of query.keys()) {
    const operations = known.get(name);
    if (operations === undefined) continue;
    if (found !== undefined) {
      const names = [...query.keys()].filter((other) => known.has(other)).sort();
      const message = `Conflicting query string parameters: ${names.join(", ")}`;
      throw invalidArgument(message, "ResourceType", names[0]);
    }
    found = { name, operations };
  }
  return found;
}

function hasAny(query: S3Query, subresources: Subresources): boolean {
  return query.keys().some((name) => subresources.has(name));
}

function changes(method: string): boolean {
  return method === "PUT" || method === "POST" || method === "DELETE";
}

function pick(operations: OperationsOf<string>, method: string, resourceType: string): S3Operation {
  const operation = Object.hasOwn(operations, method) ? operations[method] : undefined;
  if (operation === undefined) throw methodNotAllowed(method, resourceType, methodsOf(operations));
  return operation;
}

function methodNotAllowed(method: string, resourceType: string, allowed: readonly string[]): S3Error {
  return new S3Error("MethodNotAllowed", {
    fields: { Method: method, ResourceType: resourceType },
    headers: { Allow: allowed.join(", ") },
  });
}

function methodsOf(operations: OperationsOf<string>): string[] {
  return Object.keys(operations);
}

function operationsOf(operations: OperationsOf<string>): S3Operation[] {
  return Object.values(operations).filter((operation) => operation !== undefined);
}
