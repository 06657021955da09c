import { begun, guarded, json, problem, refusals } from "./openapi-parts.ts";
import {
  DEAD_LETTERS_PAGE_MAX,
  deadLetterSchema,
  deadLettersSchema,
  REPAIR_PATHS,
  repairStatusSchema,
  replayRequestSchema,
  replaySchema,
} from "./repair-types.ts";

/** The calls of repair and its dead letters, for the OpenAPI description. */
export function repairOperations() {
  const limit = { type: "integer", minimum: 1, maximum: DEAD_LETTERS_PAGE_MAX } as const;
  return {
    [REPAIR_PATHS.repair]: {
      ...guarded("What waits for repair, and what it did", repairStatusSchema),
      post: begun("Repairs now, what failed a moment ago included", repairStatusSchema),
    },
    [REPAIR_PATHS.deadLetters]: {
      ...guarded("Copies whose repair was given up", deadLettersSchema, { 400: problem }),
      parameters: [
        { name: "after", in: "query" as const, required: false, schema: { type: "string" as const } },
        { name: "limit", in: "query" as const, required: false, schema: limit },
      ],
    },
    [REPAIR_PATHS.replay]: {
      post: {
        summary: "Has one dead letter, or all of them, tried again",
        security: [{ apiKey: [] }],
        requestBody: { required: false, content: { "application/json": { schema: replayRequestSchema } } },
        responses: { 200: json("what was replayed", replaySchema), 400: problem, ...refusals },
      },
    },
    [`${REPAIR_PATHS.deadLetters}/{blob_id}/{slot}`]: {
      ...guarded("A dead letter", deadLetterSchema),
      parameters: [
        { name: "blob_id", in: "path" as const, required: true, schema: { type: "string" as const } },
        { name: "slot", in: "path" as const, required: true, schema: { type: "integer" as const, minimum: 0 } },
      ],
    },
  };
}
