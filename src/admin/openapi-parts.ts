/** What the descriptions of the admin API's calls are made of. */
import type * as z from "zod";
import type { createDocument } from "zod-openapi";
import { problemSchema } from "./api-types.ts";

type Responses = NonNullable<NonNullable<Parameters<typeof createDocument>[0]["paths"]>[string]["get"]>["responses"];

export function open(summary: string, responses: NonNullable<Responses>) {
  return { get: { summary, responses } };
}

export const problem = {
  description: "the problem",
  content: { "application/problem+json": { schema: problemSchema } },
};
export const refusals = { 401: problem, 403: problem, 404: problem, 500: problem };

/** A call that has something begin that is done later, one at a time. */
export function begun(summary: string, schema: z.ZodType) {
  return {
    summary,
    security: [{ apiKey: [] }],
    responses: { 202: json("it has begun", schema), 409: problem, ...refusals },
  };
}

export function guarded(summary: string, schema: z.ZodType, others: NonNullable<Responses> = {}) {
  return {
    get: {
      summary,
      security: [{ apiKey: [] }],
      responses: { 200: json("the answer", schema), ...others, ...refusals },
    },
  };
}

export function json(description: string, schema: z.ZodType) {
  return { description, content: { "application/json": { schema } } };
}
