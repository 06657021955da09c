/** The description of the calls that change nodes, domains and live settings. */
import type * as z from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { API_PATHS, domainsSchema, problemSchema, workersSchema } from "./api-types.ts";
import {
  domainSettingsSchema,
  liveSettingsChangeSchema,
  liveSettingsSchema,
  newDomainSchema,
  newNodeSchema,
  nodeSettingsSchema,
  reloadSchema,
  removedSchema,
} from "./topology-types.ts";

const problem = { description: "the problem", content: { "application/problem+json": { schema: problemSchema } } };
const refusals = { 400: problem, 401: problem, 403: problem, 404: problem, 409: problem, 500: problem };
const byName = { name: "name", in: "path", required: true, schema: { type: "string" } } as const;
const lost = { name: "lost", in: "query", required: false, schema: { type: "boolean" } } as const;

const changeLiveSettings = change("Changes factor, quorum, limits and what else is live", liveSettingsChangeSchema, {
  200: json("all of them as they are now", liveSettingsSchema),
});

export const topologyPaths: ZodOpenApiPathsObject = {
  [API_PATHS.nodes]: {
    post: change("Adds a storage node, without a restart, and checks it", newNodeSchema, {
      201: json("the node as it is now", workersSchema),
    }),
  },
  [`${API_PATHS.nodes}/{name}`]: {
    parameters: [byName],
    patch: change("Changes a storage node, without a restart", nodeSettingsSchema, {
      200: json("the node as it is now", workersSchema),
    }),
    delete: {
      ...bare("Takes a storage node without copies out; with `lost`, one that is gone for good", {
        200: json("it is no member any more", removedSchema),
      }),
      parameters: [lost],
    },
  },
  [`${API_PATHS.domains}/{name}`]: {
    parameters: [byName],
    patch: change("Changes a fault domain, without a restart", domainSettingsSchema, {
      200: json("every domain as it is now", domainsSchema),
    }),
    delete: bare("Takes a fault domain without nodes out", { 200: json("the other domains", domainsSchema) }),
  },
  [API_PATHS.config]: {
    get: bare("The settings that are changed while the cluster serves", { 200: json("they", liveSettingsSchema) }),
    put: changeLiveSettings,
    patch: changeLiveSettings,
  },
  [API_PATHS.reload]: {
    post: bare("Reads the configuration again and takes over what can be", { 200: json("what it did", reloadSchema) }),
  },
};

/** What is added to the description of the domains' path. */
export const addDomainOperation = change("Adds a fault domain, without a restart", newDomainSchema, {
  201: json("every domain as it is now", domainsSchema),
});

type Answers = Record<number, ReturnType<typeof json>>;

function change(summary: string, schema: z.ZodType, answers: Answers) {
  return { ...bare(summary, answers), requestBody: { required: true, content: { "application/json": { schema } } } };
}

function bare(summary: string, answers: Answers) {
  return { summary, security: [{ apiKey: [] }], responses: { ...answers, ...refusals } };
}

function json(description: string, schema: z.ZodType) {
  return { description, content: { "application/json": { schema } } };
}
