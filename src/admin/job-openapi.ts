/** The part of the admin API's description that is about background jobs. */
import type * as z from "zod";
import {
  JOB_PATHS,
  jobFailuresSchema,
  jobRequestSchema,
  jobSchema,
  jobsSchema,
  rebalanceRequestSchema,
  rebalanceSchema,
} from "./job-types.ts";

/** How the description says what recurs. */
export interface OpenApiForms<G, J, P> {
  readonly guarded: (summary: string, schema: z.ZodType) => G;
  readonly json: (description: string, schema: z.ZodType) => J;
  readonly problem: P;
  readonly refusals: Readonly<Record<401 | 403 | 404 | 500, P>>;
}

export function jobPaths<G extends object, J, P>({ guarded, json, problem, refusals }: OpenApiForms<G, J, P>) {
  const call = (summary: string, schema: z.ZodType, body?: z.ZodType) => ({
    summary,
    security: [{ apiKey: [] }],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: body } } } }),
    responses: { 202: json("as it is now", schema), 400: problem, 409: problem, ...refusals },
  });
  const named = (name: string) => ({ name, in: "path" as const, required: true, schema: { type: "string" as const } });
  return {
    [JOB_PATHS.jobs]: {
      ...guarded("Background jobs", jobsSchema),
      post: call("Queues a job; one of the same kind and subject that waits is joined", jobSchema, jobRequestSchema),
    },
    [`${JOB_PATHS.jobs}/{id}`]: {
      ...guarded("A background job", jobSchema),
      delete: call("Cancels a job; what it moved stays moved", jobSchema),
      parameters: [named("id")],
    },
    [`${JOB_PATHS.jobs}/{id}/failures`]: {
      ...guarded("What a job did not succeed with", jobFailuresSchema),
      parameters: [named("id")],
    },
    [`${JOB_PATHS.jobs}/{id}/pause`]: { post: call("Pauses a job", jobSchema), parameters: [named("id")] },
    [`${JOB_PATHS.jobs}/{id}/resume`]: {
      post: call("Has a paused job go on where it stands", jobSchema),
      parameters: [named("id")],
    },
    [`${JOB_PATHS.nodes}/{name}/drain`]: {
      post: call("Has a node take no copies any more, and moves all that it has elsewhere", jobSchema),
      parameters: [named("name")],
    },
    [`${JOB_PATHS.domains}/{name}/drain`]: {
      post: call("Has a domain take no copies any more, and moves all that it has to another one", jobSchema),
      parameters: [
        named("name"),
        { name: "to", in: "query" as const, required: true, schema: { type: "string" as const } },
      ],
    },
    [JOB_PATHS.rebalance]: {
      ...guarded("Jobs that move copies to where the ring has them", rebalanceSchema),
      post: {
        ...call("Moves copies to where the ring has them", rebalanceSchema),
        requestBody: { required: false, content: { "application/json": { schema: rebalanceRequestSchema } } },
      },
      delete: call("Cancels every such job", rebalanceSchema),
    },
  };
}
