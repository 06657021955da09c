/** Events, and what operators do about the health of nodes. */
import type { Express } from "express";
import * as z from "zod";
import type { EventLog } from "../cluster/events/event.ts";
import { eventJson } from "../cluster/events/post-event.ts";
import { TopologyChangeError } from "../cluster/topology-change-error.ts";
import { API_PATHS, type Workers } from "./api-types.ts";
import { type AdminContext, workers } from "./cluster-views.ts";
import { type Events, eventsQuerySchema } from "./health-types.ts";
import { ApiError } from "./problem.ts";

export interface HealthContext extends AdminContext {
  readonly events: Pick<EventLog, "list">;
  /** Resolves when this process goes by it. @throws TopologyChangeError; CatalogError */
  readonly rejoinNode: (name: string) => Promise<void>;
}

export function healthRoutes(app: Express, context: HealthContext): void {
  app.get(API_PATHS.events, async (request, response) => {
    response.json(await listEvents(context, request.query));
  });
  app.post(`${API_PATHS.nodes}/:name/rejoin`, async (request, response) => {
    response.json(await rejoin(context, request.params["name"] ?? ""));
  });
}

/** @throws ApiError for a query that makes no sense */
export async function listEvents({ events }: Pick<HealthContext, "events">, query: unknown): Promise<Events> {
  const asked = eventsQuerySchema.safeParse(query);
  if (!asked.success) throw new ApiError(400, "Bad Request", z.prettifyError(asked.error));
  const { after, limit } = asked.data;
  const found = await events.list(after === undefined ? { limit } : { after, limit });
  return { events: found.map(eventJson), last: found.at(-1)?.sequence ?? after ?? 0 };
}

/** Takes a decommissioned node back. @returns the node @throws ApiError where there is no such node, or it is not decommissioned */
export async function rejoin(context: HealthContext, name: string): Promise<Workers> {
  try {
    await context.rejoinNode(name);
  } catch (error) {
    if (!(error instanceof TopologyChangeError)) throw error;
    throw error.kind === "unknown"
      ? new ApiError(404, "Not Found", error.message)
      : new ApiError(409, "Conflict", error.message);
  }
  const all = await workers(context);
  return { workers: all.workers.filter((worker) => worker.name === name) };
}
