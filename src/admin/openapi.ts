import type * as z from "zod";
import { createDocument } from "zod-openapi";
import {
  API_PATHS,
  clusterStatusSchema,
  domainsSchema,
  objectLocationSchema,
  problemSchema,
  readinessSchema,
  replicationSchema,
  workersSchema,
} from "./api-types.ts";

/** The admin port's OpenAPI 3.1 description. */
export function openApiDocument(version: string): ReturnType<typeof createDocument> {
  return createDocument({
    openapi: "3.1.0",
    info: { title: "Bulkhead admin API", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    components: { securitySchemes: { apiKey: { type: "apiKey", in: "header", name: "X-API-Key" } } },
    paths: {
      "/healthz": open("Whether the process is up", { 200: { description: "it is" } }),
      "/readyz": open("Whether the gateway serves clients", {
        200: json("it does", readinessSchema),
        503: json("it does not", readinessSchema),
      }),
      "/metrics": open("Metrics in Prometheus' text format", { 200: { description: "the metrics" } }),
      [API_PATHS.status]: guarded("The cluster in one view", clusterStatusSchema),
      [API_PATHS.workers]: guarded("Every storage node", workersSchema),
      [API_PATHS.domains]: guarded("Every fault domain", domainsSchema),
      [API_PATHS.replication]: guarded("Copies that want work", replicationSchema),
      [`${API_PATHS.objects}/{bucket}/{key}`]: {
        ...guarded("Where the copies of an object are", objectLocationSchema),
        parameters: [
          { name: "bucket", in: "path", required: true, schema: { type: "string" } },
          { name: "key", in: "path", required: true, schema: { type: "string" } },
          { name: "offset", in: "query", required: false, schema: { type: "integer", minimum: 0 } },
        ],
      },
    },
  });
}

type Responses = NonNullable<NonNullable<Parameters<typeof createDocument>[0]["paths"]>[string]["get"]>["responses"];

function open(summary: string, responses: NonNullable<Responses>) {
  return { get: { summary, responses } };
}

function guarded(summary: string, schema: z.ZodType) {
  const problem = { description: "the problem", content: { "application/problem+json": { schema: problemSchema } } };
  return {
    get: {
      summary,
      security: [{ apiKey: [] }],
      responses: { 200: json("the answer", schema), 401: problem, 403: problem, 404: problem, 500: problem },
    },
  };
}

function json(description: string, schema: z.ZodType) {
  return { description, content: { "application/json": { schema } } };
}
