/** Standby promotion on the admin port: who is promoted, and changing it by hand. */
import express, { type Express } from "express";
import * as z from "zod";
import type { Catalog } from "../catalog/catalog.ts";
import type { Promoter } from "../cluster/promotion/promoter.ts";
import { promotionStateOf } from "../cluster/promotion/promotion-state.ts";
import { TopologyChangeError } from "../cluster/topology-change-error.ts";
import { loadTopology } from "../cluster/topology-store.ts";
import { ApiError } from "./problem.ts";
import { PROMOTION_PATHS, type Promotions, promoteRequestSchema } from "./promotion-types.ts";

const BODY_BYTES_MAX = 65_536;

export interface PromotionContext {
  readonly catalog: Pick<Catalog, "kv">;
  readonly promoter: Pick<Promoter, "promote" | "demote">;
}

export async function promotions({ catalog }: PromotionContext): Promise<Promotions> {
  const stored = await loadTopology(catalog.kv);
  const standby = stored?.topology.domains.filter(({ role }) => role === "standby").map(({ name }) => name) ?? [];
  const records = [...(stored?.records.values() ?? [])].filter(({ homeDomain }) => standby.includes(homeDomain));
  return {
    epoch: stored?.topology.epoch ?? 0,
    nodes: records
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((record) => ({
        node: record.name,
        node_id: record.uuid,
        state: promotionStateOf(record),
        home_domain: record.homeDomain,
        domain: record.domain,
        demoted_from: record.demotedFrom ?? null,
      })),
  };
}

export function addPromotionRoutes(app: Express, context: PromotionContext): void {
  app.get(PROMOTION_PATHS.promotions, async (_request, response) => {
    response.json(await promotions(context));
  });
  const body = express.json({ limit: BODY_BYTES_MAX, type: () => true });
  app.post(PROMOTION_PATHS.promote(":name"), body, async (request, response) => {
    const asked = promoteRequestSchema.safeParse(request.body ?? {});
    if (!asked.success) throw new ApiError(400, "Bad Request", z.prettifyError(asked.error));
    await told(context.promoter.promote(nameIn(request.params), asked.data.node));
    response.json(await promotions(context));
  });
  app.post(PROMOTION_PATHS.demote(":name"), async (request, response) => {
    await told(context.promoter.demote(nameIn(request.params)));
    response.json(await promotions(context));
  });
}

function nameIn(params: Readonly<Record<string, string | string[] | undefined>>): string {
  const name = params["name"];
  return typeof name === "string" ? name : "";
}

/** @throws ApiError that says why the change is not made */
async function told(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!(error instanceof TopologyChangeError)) throw error;
    throw error.kind === "unknown"
      ? new ApiError(404, "Not Found", error.message)
      : new ApiError(409, "Conflict", error.message);
  }
}
