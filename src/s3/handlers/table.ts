/**
 * Every operation of S3: what carries it out, what it takes to be allowed, and whether it comes with a body.
 */
import type { BucketCall, Call, Handler, ObjectCall } from "../call.ts";
import type { S3Operation } from "../operations.ts";
import { createBucket } from "./create-bucket.ts";
import { deleteBucket } from "./delete-bucket.ts";
import { deleteObject } from "./delete-object.ts";
import { getObject, headObject } from "./get-object.ts";
import { headBucket } from "./head-bucket.ts";
import { listBuckets } from "./list-buckets.ts";
import { listObjects, listObjectsV2 } from "./list-objects.ts";
import { putObject } from "./put-object.ts";

interface Rights {
  /** The action that a policy must allow. Policies are still to come: the root user may do anything. */
  readonly permission: `s3:${string}`;
  readonly body: "none" | "xml" | "object";
}

export type ImplementedOperation = Rights &
  (
    | { readonly on: "service"; readonly run: Handler<Call> }
    | { readonly on: "bucket"; readonly run: Handler<BucketCall> }
    | { readonly on: "object"; readonly run: Handler<ObjectCall> }
  );

export const OPERATIONS: Readonly<Record<S3Operation, ImplementedOperation | "not-implemented">> = {
  AbortMultipartUpload: "not-implemented",
  CompleteMultipartUpload: "not-implemented",
  CopyObject: "not-implemented",
  CreateBucket: { on: "bucket", permission: "s3:CreateBucket", body: "xml", run: createBucket },
  CreateBucketMetadataConfiguration: "not-implemented",
  CreateBucketMetadataTableConfiguration: "not-implemented",
  CreateMultipartUpload: "not-implemented",
  CreateSession: "not-implemented",
  DeleteBucket: { on: "bucket", permission: "s3:DeleteBucket", body: "none", run: deleteBucket },
  DeleteBucketAnalyticsConfiguration: "not-implemented",
  DeleteBucketCors: "not-implemented",
  DeleteBucketEncryption: "not-implemented",
  DeleteBucketIntelligentTieringConfiguration: "not-implemented",
  DeleteBucketInventoryConfiguration: "not-implemented",
  DeleteBucketLifecycle: "not-implemented",
  DeleteBucketMetadataConfiguration: "not-implemented",
  DeleteBucketMetadataTableConfiguration: "not-implemented",
  DeleteBucketMetricsConfiguration: "not-implemented",
  DeleteBucketOwnershipControls: "not-implemented",
  DeleteBucketPolicy: "not-implemented",
  DeleteBucketReplication: "not-implemented",
  DeleteBucketTagging: "not-implemented",
  DeleteBucketWebsite: "not-implemented",
  DeleteObject: { on: "object", permission: "s3:DeleteObject", body: "none", run: deleteObject },
  DeleteObjectAnnotation: "not-implemented",
  DeleteObjectTagging: "not-implemented",
  DeleteObjects: "not-implemented",
  DeletePublicAccessBlock: "not-implemented",
  GetBucketAbac: "not-implemented",
  GetBucketAccelerateConfiguration: "not-implemented",
  GetBucketAcl: "not-implemented",
  GetBucketAnalyticsConfiguration: "not-implemented",
  GetBucketCors: "not-implemented",
  GetBucketEncryption: "not-implemented",
  GetBucketIntelligentTieringConfiguration: "not-implemented",
  GetBucketInventoryConfiguration: "not-implemented",
  GetBucketLifecycleConfiguration: "not-implemented",
  GetBucketLocation: "not-implemented",
  GetBucketLogging: "not-implemented",
  GetBucketMetadataConfiguration: "not-implemented",
  GetBucketMetadataTableConfiguration: "not-implemented",
  GetBucketMetricsConfiguration: "not-implemented",
  GetBucketNotificationConfiguration: "not-implemented",
  GetBucketOwnershipControls: "not-implemented",
  GetBucketPolicy: "not-implemented",
  GetBucketPolicyStatus: "not-implemented",
  GetBucketReplication: "not-implemented",
  GetBucketRequestPayment: "not-implemented",
  GetBucketTagging: "not-implemented",
  GetBucketVersioning: "not-implemented",
  GetBucketWebsite: "not-implemented",
  GetObject: { on: "object", permission: "s3:GetObject", body: "none", run: getObject },
  GetObjectAcl: "not-implemented",
  GetObjectAnnotation: "not-implemented",
  GetObjectAttributes: "not-implemented",
  GetObjectLegalHold: "not-implemented",
  GetObjectLockConfiguration: "not-implemented",
  GetObjectRetention: "not-implemented",
  GetObjectTagging: "not-implemented",
  GetObjectTorrent: "not-implemented",
  GetPublicAccessBlock: "not-implemented",
  HeadBucket: { on: "bucket", permission: "s3:ListBucket", body: "none", run: headBucket },
  HeadObject: { on: "object", permission: "s3:GetObject", body: "none", run: headObject },
  ListBucketAnalyticsConfigurations: "not-implemented",
  ListBucketIntelligentTieringConfigurations: "not-implemented",
  ListBucketInventoryConfigurations: "not-implemented",
  ListBucketMetricsConfigurations: "not-implemented",
  ListBuckets: { on: "service", permission: "s3:ListAllMyBuckets", body: "none", run: listBuckets },
  ListDirectoryBuckets: "not-implemented",
  ListMultipartUploads: "not-implemented",
  ListObjectAnnotations: "not-implemented",
  ListObjectVersions: "not-implemented",
  ListObjects: { on: "bucket", permission: "s3:ListBucket", body: "none", run: listObjects },
  ListObjectsV2: { on: "bucket", permission: "s3:ListBucket", body: "none", run: listObjectsV2 },
  ListParts: "not-implemented",
  PostObject: "not-implemented",
  PreflightRequest: "not-implemented",
  PutBucketAbac: "not-implemented",
  PutBucketAccelerateConfiguration: "not-implemented",
  PutBucketAcl: "not-implemented",
  PutBucketAnalyticsConfiguration: "not-implemented",
  PutBucketCors: "not-implemented",
  PutBucketEncryption: "not-implemented",
  PutBucketIntelligentTieringConfiguration: "not-implemented",
  PutBucketInventoryConfiguration: "not-implemented",
  PutBucketLifecycleConfiguration: "not-implemented",
  PutBucketLogging: "not-implemented",
  PutBucketMetricsConfiguration: "not-implemented",
  PutBucketNotificationConfiguration: "not-implemented",
  PutBucketOwnershipControls: "not-implemented",
  PutBucketPolicy: "not-implemented",
  PutBucketReplication: "not-implemented",
  PutBucketRequestPayment: "not-implemented",
  PutBucketTagging: "not-implemented",
  PutBucketVersioning: "not-implemented",
  PutBucketWebsite: "not-implemented",
  PutObject: { on: "object", permission: "s3:PutObject", body: "object", run: putObject },
  PutObjectAcl: "not-implemented",
  PutObjectAnnotation: "not-implemented",
  PutObjectLegalHold: "not-implemented",
  PutObjectLockConfiguration: "not-implemented",
  PutObjectRetention: "not-implemented",
  PutObjectTagging: "not-implemented",
  PutPublicAccessBlock: "not-implemented",
  RenameObject: "not-implemented",
  RestoreObject: "not-implemented",
  SelectObjectContent: "not-implemented",
  UpdateBucketMetadataAnnotationTableConfiguration: "not-implemented",
  UpdateBucketMetadataInventoryTableConfiguration: "not-implemented",
  UpdateBucketMetadataJournalTableConfiguration: "not-implemented",
  UpdateObjectEncryption: "not-implemented",
  UploadPart: "not-implemented",
  UploadPartCopy: "not-implemented",
  WriteGetObjectResponse: "not-implemented",
};
