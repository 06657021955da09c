import { createDocument } from "zod-openapi";
import {
  API_PATHS,
  clusterStatusSchema,
  domainsSchema,
  objectLocationSchema,
  readinessSchema,
  replicationSchema,
  scrubRequestSchema,
  scrubsSchema,
  workersSchema,
} from "./api-types.ts";
import { changesSchema, journalSchema, rebuildSchema, snapshotSchema, verificationSchema } from "./catalog-types.ts";
import { directPaths } from "./direct-openapi.ts";
import { eventsSchema } from "./health-types.ts";
import { jobPaths } from "./job-openapi.ts";
import { begun, guarded, json, open, problem, refusals } from "./openapi-parts.ts";
import { promotionOperations } from "./promotion-openapi.ts";
import { durabilitySchema, PROVE_PARAMETERS, provePageSchema } from "./prove/prove-types.ts";
import { repairOperations } from "./repair-openapi.ts";
import { addDomainOperation, topologyPaths } from "./topology-openapi.ts";

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
      [API_PATHS.domains]: { ...guarded("Every fault domain", domainsSchema), post: addDomainOperation },
      [API_PATHS.replication]: guarded("Copies that want work", replicationSchema),
      [API_PATHS.events]: {
        ...guarded("What happened to nodes and domains, in order; the newest when nothing is said", eventsSchema, {
          400: problem,
        }),
        parameters: [
          { name: "after", in: "query", required: false, schema: { type: "integer", minimum: 0 } },
          { name: "limit", in: "query", required: false, schema: { type: "integer", minimum: 1, maximum: 1_000 } },
        ],
      },
      [`${API_PATHS.nodes}/{name}/rejoin`]: {
        post: {
          summary: "Takes a decommissioned storage node back",
          security: [{ apiKey: [] }],
          responses: { 200: json("the node as it is now", workersSchema), 409: problem, ...refusals },
        },
        parameters: [{ name: "name", in: "path", required: true, schema: { type: "string" } }],
      },
      ...topologyPaths,
      ...jobPaths({ guarded, json, problem, refusals }),
      [API_PATHS.scrub]: {
        ...guarded(
          "The scrub of every storage node, its comparison with the catalog, and what is foreign on it",
          scrubsSchema,
        ),
        post: {
          summary: "Compares a node, or all of them, with the catalog and reads every copy on it, beginning now",
          security: [{ apiKey: [] }],
          requestBody: { required: false, content: { "application/json": { schema: scrubRequestSchema } } },
          responses: { 202: json("it is asked for; the state of every node", scrubsSchema), 400: problem, ...refusals },
        },
      },
      [API_PATHS.journal]: guarded("The catalog's journal on the nodes", journalSchema),
      [API_PATHS.snapshot]: {
        ...guarded("The snapshots of the catalog on the nodes", snapshotSchema),
        post: begun("Writes a snapshot of the catalog to the nodes, beginning now", snapshotSchema),
      },
      [API_PATHS.verify]: {
        ...guarded("The verification of the catalog that is under way, or the last one", verificationSchema),
        post: begun("Compares the catalog with its journal and with the nodes, beginning now", verificationSchema),
      },
      [API_PATHS.rebuild]: {
        ...guarded("What the last rebuild of the catalog left to be decided", rebuildSchema),
        post: {
          summary: "Accepts what the rebuild could not see: orphans are collected again",
          security: [{ apiKey: [] }],
          responses: { 200: json("it is accepted", rebuildSchema), ...refusals },
        },
      },
      [API_PATHS.changes]: {
        ...guarded("What every commit wrote, in order: keys, never values", changesSchema, {
          400: problem,
          410: problem,
          503: problem,
        }),
        parameters: [
          { name: "after", in: "query", required: false, schema: { type: "integer", minimum: 0 } },
          { name: "limit", in: "query", required: false, schema: { type: "integer", minimum: 1, maximum: 1_000 } },
        ],
      },
      [API_PATHS.prove]: {
        ...guarded("What is on record of the copies of every object, a page at a time", provePageSchema, {
          400: problem,
          503: problem,
        }),
        parameters: [...PROVE_PARAMETERS],
      },
      [API_PATHS.durability]: guarded(
        "How durable an object is by estimate, and when copies were verified",
        durabilitySchema,
      ),
      ...repairOperations(),
      ...promotionOperations(),
      [`${API_PATHS.objects}/{bucket}/{key}`]: {
        ...guarded("Where the copies of an object are", objectLocationSchema),
        parameters: [
          { name: "bucket", in: "path", required: true, schema: { type: "string" } },
          { name: "key", in: "path", required: true, schema: { type: "string" } },
          { name: "offset", in: "query", required: false, schema: { type: "integer", minimum: 0 } },
        ],
      },
      ...directPaths,
    },
  });
}
