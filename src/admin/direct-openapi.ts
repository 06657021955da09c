/** The part of the admin API's description that is about URLs, pins and buckets. */
import type * as z from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { problemSchema } from "./api-types.ts";
import {
  bucketSettingsSchema,
  bucketsSchema,
  DIRECT_PATHS,
  pinsSchema,
  presignedUrlSchema,
  presignRequestSchema,
} from "./direct-types.ts";

const security = [{ apiKey: [] }];
const problem = { description: "the problem", content: { "application/problem+json": { schema: problemSchema } } };
const refusals = { 401: problem, 403: problem, 404: problem, 500: problem };

const json = (description: string, schema: z.ZodType) => ({ description, content: { "application/json": { schema } } });
const sent = (schema: z.ZodType) => ({ required: true, content: { "application/json": { schema } } });

export const directPaths: ZodOpenApiPathsObject = {
  [DIRECT_PATHS.presign]: {
    post: {
      summary: "Signs a URL for one request on an object, of the gateway or of a storage node",
      security,
      requestBody: sent(presignRequestSchema),
      responses: { 200: json("the URL", presignedUrlSchema), 400: problem, 409: problem, 503: problem, ...refusals },
    },
  },
  [DIRECT_PATHS.pins]: {
    get: {
      summary: "The copies that stay on their nodes because a URL leads to them",
      security,
      responses: { 200: json("all of them", pinsSchema), ...refusals },
    },
  },
  [`${DIRECT_PATHS.pins}/{pin}`]: {
    delete: {
      summary: "Takes a pin away at once: its URL may be refused from then on",
      security,
      responses: { 200: json("those that are left", pinsSchema), ...refusals },
    },
    parameters: [{ name: "pin", in: "path", required: true, schema: { type: "string" } }],
  },
  [DIRECT_PATHS.buckets]: {
    get: {
      summary: "Buckets and what is set of them",
      security,
      responses: { 200: json("at most 1,000", bucketsSchema), 400: problem, ...refusals },
    },
    parameters: [{ name: "after", in: "query", required: false, schema: { type: "string" } }],
  },
  [`${DIRECT_PATHS.buckets}/{name}`]: {
    patch: {
      summary: "Changes what is set of a bucket",
      security,
      requestBody: sent(bucketSettingsSchema),
      responses: { 200: json("the bucket as it is now", bucketsSchema), 400: problem, 409: problem, ...refusals },
    },
    parameters: [{ name: "name", in: "path", required: true, schema: { type: "string" } }],
  },
};
