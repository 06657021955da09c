/**
 * Answers of the admin API around URLs: presigned ones, the pins that some of them leave, and what buckets allow.
 */
import * as z from "zod";
import { URL_SECONDS_MAX, URL_SECONDS_MIN } from "../shared/presign-url.ts";

/** Paths under the admin port; all of them want `X-API-Key`. */
export const DIRECT_PATHS = {
  presign: "/api/v1/presign",
  /** `DELETE` of one is followed by `/{pin}`. */
  pins: "/api/v1/pins",
  /** `PATCH` of one is followed by `/{name}`. */
  buckets: "/api/v1/buckets",
} as const;

const EXPIRES = `must be a whole number of seconds from ${URL_SECONDS_MIN} to ${URL_SECONDS_MAX} (7 days)`;

export const presignRequestSchema = z
  .strictObject({
    bucket: z.string(),
    key: z.string(),
    method: z.enum(["GET", "HEAD", "PUT"]).default("GET"),
    expires_seconds: z
      .int({ error: EXPIRES })
      .min(URL_SECONDS_MIN, { error: EXPIRES })
      .max(URL_SECONDS_MAX, { error: EXPIRES })
      .default(3600),
    version_id: z.string().optional().meta({ description: "of the version to read" }),
    direct: z.boolean().default(false).meta({ description: "a URL of a storage node instead of the gateway's" }),
    node: z.string().optional().meta({ description: "with `direct`: the node to read from" }),
  })
  .meta({ id: "PresignRequest" });

export const presignedUrlSchema = z
  .object({
    url: z.string(),
    method: z.enum(["GET", "HEAD", "PUT"]),
    bucket: z.string(),
    key: z.string(),
    expires_at: z.iso.datetime(),
    node: z.string().nullable().meta({ description: "the storage node that it leads to; null: the gateway" }),
    pin: z.string().nullable().meta({ description: "the pin that keeps the copy on its node meanwhile" }),
    differences: z.array(z.enum(["metadata", "checksum", "etag", "content-headers", "last-modified"])).meta({
      description: "what the node's answer lacks, or says otherwise, than the gateway's",
    }),
  })
  .meta({ id: "PresignedUrl" });
export type PresignedUrlAnswer = z.infer<typeof presignedUrlSchema>;

export const pinSchema = z
  .object({
    pin: z.string(),
    bucket: z.string().meta({ description: "of the object as it was named then; it may be gone" }),
    key: z.string(),
    blob_id: z.string(),
    node: z.string().nullable().meta({ description: "the storage node that the URL leads to" }),
    node_id: z.string(),
    created_at: z.iso.datetime(),
    until: z.iso.datetime().meta({ description: "the end of the URL, and 15 minutes for a node's clock" }),
    ended: z.boolean().meta({ description: "its time is over; the grace time runs" }),
  })
  .meta({ id: "Pin" });

export const pinsSchema = z
  .object({ pins: z.array(pinSchema).meta({ description: "by their ends" }) })
  .meta({ id: "Pins" });
export type Pins = z.infer<typeof pinsSchema>;

export const bucketSchema = z
  .object({
    name: z.string(),
    created_at: z.iso.datetime(),
    owner: z.string(),
    location: z.string().meta({ description: "the location constraint; empty for the default region" }),
    read_redirect: z.boolean().meta({
      description: "presigned reads of whole objects may be sent on (307) to a storage node",
    }),
  })
  .meta({ id: "Bucket" });

export const bucketsSchema = z
  .object({
    buckets: z.array(bucketSchema).meta({ description: "by name" }),
    next: z.string().nullable().meta({ description: "`?after=` for those after these, if there are more" }),
  })
  .meta({ id: "Buckets" });
export type Buckets = z.infer<typeof bucketsSchema>;

export const bucketSettingsSchema = z
  .strictObject({ read_redirect: z.boolean().optional() })
  .refine((settings) => Object.keys(settings).length > 0, { error: "say what is to be changed: read_redirect" })
  .meta({ id: "BucketSettings" });
