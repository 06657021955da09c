/** What the admin API changes of nodes. */
import * as z from "zod";
import { type NodeSettings, TopologyChangeError } from "../cluster/change-topology.ts";
import { type NodeSettingsRequest, nodeSettingsSchema, type Workers } from "./api-types.ts";
import { type AdminContext, workers } from "./cluster-views.ts";
import { ApiError } from "./problem.ts";

export interface NodesContext extends AdminContext {
  /** Resolves when this process goes by it. @throws TopologyChangeError; CatalogError */
  readonly setNode: (name: string, settings: NodeSettings) => Promise<void>;
}

/**
 * Changes a node, for this process at once and for all within an interval. @returns the node
 * @throws ApiError when the request is malformed or names no node
 */
export async function changeNode(context: NodesContext, name: string, body: unknown): Promise<Workers> {
  const request = nodeSettingsSchema.safeParse(body);
  if (!request.success) throw new ApiError(400, "Bad Request", z.prettifyError(request.error));
  try {
    await context.setNode(name, settingsOf(request.data));
  } catch (error) {
    if (!(error instanceof TopologyChangeError)) throw error;
    throw error.kind === "unknown"
      ? new ApiError(404, "Not Found", error.message)
      : new ApiError(409, "Conflict", error.message);
  }
  const all = await workers(context);
  return { workers: all.workers.filter((worker) => worker.name === name) };
}

function settingsOf({ weight, accepts_writes: acceptsWrites }: NodeSettingsRequest): NodeSettings {
  return { ...(weight === undefined ? {} : { weight }), ...(acceptsWrites === undefined ? {} : { acceptsWrites }) };
}
