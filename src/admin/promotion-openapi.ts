import { guarded, json, problem, refusals } from "./openapi-parts.ts";
import { PROMOTION_PATHS, promoteRequestSchema, promotionsSchema } from "./promotion-types.ts";

const name = [{ name: "name", in: "path" as const, required: true, schema: { type: "string" as const } }];

/** The calls of standby promotion, for the OpenAPI description. */
export function promotionOperations() {
  const responses = { 200: json("every standby node as it is now", promotionsSchema), 409: problem, ...refusals };
  return {
    [PROMOTION_PATHS.promotions]: guarded("The standby nodes, and which of them are promoted", promotionsSchema),
    [PROMOTION_PATHS.promote("{name}")]: {
      post: {
        summary: "Promotes a standby node to a domain",
        security: [{ apiKey: [] }],
        requestBody: { required: false, content: { "application/json": { schema: promoteRequestSchema } } },
        responses: { ...responses, 400: problem },
      },
      parameters: name,
    },
    [PROMOTION_PATHS.demote("{name}")]: {
      post: { summary: "Demotes a promoted node", security: [{ apiKey: [] }], responses },
      parameters: name,
    },
  };
}
