/** The admin API's answers about standby promotion; see api-types.ts for the conventions. */
import * as z from "zod";
import { PROMOTION_STATES } from "../cluster/promotion/promotion-state.ts";

export const PROMOTION_PATHS = {
  promotions: "/api/v1/storage/cluster/promotions",
  promote: (domain: string) => `/api/v1/storage/cluster/domains/${domain}/promote`,
  demote: (node: string) => `/api/v1/storage/cluster/nodes/${node}/demote`,
} as const;

export const promotionsSchema = z
  .object({
    epoch: z.number().int().meta({ description: "of the topology; each promotion and demotion makes another" }),
    nodes: z.array(
      z.object({
        node: z.string(),
        node_id: z.string(),
        state: z.enum(PROMOTION_STATES).meta({
          description: "`demoting`: it still has copies of the domain that it served, which are moved home",
        }),
        home_domain: z.string(),
        domain: z.string().meta({ description: "the fault domain that it serves" }),
        demoted_from: z.string().nullable().meta({ description: "the domain whose copies it still has" }),
      }),
    ),
  })
  .meta({ id: "Promotions", description: "every node whose home is the standby domain" });
export type Promotions = z.infer<typeof promotionsSchema>;

export const promoteRequestSchema = z
  .strictObject({ node: z.string().optional().meta({ description: "name; the best standby node when absent" }) })
  .meta({ id: "PromoteRequest" });
