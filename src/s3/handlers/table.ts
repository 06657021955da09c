/**
 * Every operation of S3: what carries it out, what it takes to be allowed, and whether it comes with a body.
 */
import type { BucketCall, Call, Handler, ObjectCall } from "../call.ts";
import type { S3Operation } from "../operations.ts";
import { abortMultipartUpload } from "./abort-multipart-upload.ts";
import { completeMultipartUpload } from "./complete-multipart-upload.ts";
import { copyObject } from "./copy-object.ts";
import { createBucket } from "./create-bucket.ts";
import { createMultipartUpload } from "./create-multipart-upload.ts";
import { deleteBucket } from "./delete-bucket.ts";
import { deleteObject } from "./delete-object.ts";
import { deleteObjects } from "./delete-objects.ts";
import { getBucketLocation } from "./get-bucket-location.ts";
import { getBucketVersioning } from "./get-bucket-versioning.ts";
import { getObject, headObject } from "./get-object.ts";
import { getObjectTagging } from "./get-object-tagging.ts";
import { headBucket } from "./head-bucket.ts";
import { listBuckets } from "./list-buckets.ts";
import { listMultipartUploads } from "./list-multipart-uploads.ts";
import { listObjectVersions } from "./list-object-versions.ts";
import { listObjects, listObjectsV2 } from "./list-objects.ts";
import { listParts } from "./list-parts.ts";
import { putObject } from "./put-object.ts";
import { uploadPart, uploadPartCopy } from "./upload-part.ts";

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
  AbortMultipartUpload: {
    on: "object",
    permission: "s3:AbortMultipartUpload",
    body: "none",
    run: abortMultipartUpload,
  },
  CompleteMultipartUpload: { on: "object", permission: "s3:PutObject", body: "xml", run: completeMultipartUpload },
  CopyObject: { on: "object", permission: "s3:PutObject", body: "none", run: copyObject },
  CreateBucket: { on: "bucket", permission: "s3:CreateBucket", body: "xml", run: createBucket },
  CreateBucketMetadataConfiguration: "not-implemented",
  CreateBucketMetadataTableConfiguration: "not-implemented",
  CreateMultipartUpload: { on: "object", permission: "s3:PutObject", body: "none", run: createMultipartUpload },
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
  DeleteObjects: { on: "bucket", permission: "s3:DeleteObject", body: "xml", run: deleteObjects },
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
  GetBucketLocation: { on: "bucket", permission: "s3:GetBucketLocation", body: "none", run: getBucketLocation },
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
  GetBucketVersioning: { on: "bucket", permission: "s3:GetBucketVersioning", body: "none", run: getBucketVersioning },
  GetBucketWebsite: "not-implemented",
  GetObject: { on: "object", permission: "s3:GetObject", body: "none", run: getObject },
  GetObjectAcl: "not-implemented",
  GetObjectAnnotation: "not-implemented",
  GetObjectAttributes: "not-implemented",
  GetObjectLegalHold: "not-implemented",
  GetObjectLockConfiguration: "not-implemented",
  GetObjectRetention: "not-implemented",
  GetObjectTagging: { on: "object", permission: "s3:GetObjectTagging", body: "none", run: getObjectTagging },
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
  ListMultipartUploads: {
    on: "bucket",
    permission: "s3:ListBucketMultipartUploads",
    body: "none",
    run: listMultipartUploads,
  },
  ListObjectAnnotations: "not-implemented",
  ListObjectVersions: { on: "bucket", permission: "s3:ListBucketVersions", body: "none", run: listObjectVersions },
  ListObjects: { on: "bucket", permission: "s3:ListBucket", body: "none", run: listObjects },
  ListObjectsV2: { on: "bucket", permission: "s3:ListBucket", body: "none", run: listObjectsV2 },
  ListParts: { on: "object", permission: "s3:ListMultipartUploadParts", body: "none", run: listParts },
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
  UploadPart: { on: "object", permission: "s3:PutObject", body: "object", run: uploadPart },
  UploadPartCopy: { on: "object", permission: "s3:PutObject", body: "none", run: uploadPartCopy },
  WriteGetObjectResponse: "not-implemented",
};
