import type { ObjectService } from "./api.ts";
import { createBucket, deleteBucket, headBucket, listBuckets } from "./buckets.ts";
import { translateCatalogError } from "./commit-version.ts";
import type { ObjectContext } from "./context.ts";
import { copyObject } from "./copy-object.ts";
import { deleteObject, deleteObjects } from "./delete-object.ts";
import { getObject, headObject } from "./get-object.ts";
import { listObjects } from "./list-objects.ts";
import { completeUpload } from "./multipart/complete-upload.ts";
import { listParts, uploadPart, uploadPartCopy } from "./multipart/parts.ts";
import { abortUpload, createUpload, listUploads } from "./multipart/uploads.ts";
import { putObject } from "./put-object.ts";

/** The calls of S3, each with the parts that it works with. */
export function createObjectService(context: ObjectContext): ObjectService {
  return {
    createBucket: (request) => translated(createBucket(context, request)),
    headBucket: (bucket) => translated(headBucket(context, bucket)),
    deleteBucket: (bucket) => translated(deleteBucket(context, bucket)),
    listBuckets: (request) => translated(listBuckets(context, request)),
    putObject: (request) => translated(putObject(context, request)),
    getObject: (request, signal) => translated(getObject(context, request, signal)),
    headObject: (request) => translated(headObject(context, request)),
    deleteObject: (request) => translated(deleteObject(context, request)),
    deleteObjects: (request) => translated(deleteObjects(context, request)),
    copyObject: (request) => translated(copyObject(context, request)),
    listObjects: (request) => translated(listObjects(context, request)),
    createUpload: (request) => translated(createUpload(context, request)),
    uploadPart: (request) => translated(uploadPart(context, request)),
    uploadPartCopy: (request) => translated(uploadPartCopy(context, request)),
    completeUpload: (request) => translated(completeUpload(context, request)),
    abortUpload: (request) => translated(abortUpload(context, request)),
    listParts: (request) => translated(listParts(context, request)),
    listUploads: (request) => translated(listUploads(context, request)),
  };
}

/** The catalog's errors become the service's in one place. */
async function translated<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw translateCatalogError(error);
  }
}
