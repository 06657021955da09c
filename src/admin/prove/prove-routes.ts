/** The calls of the admin API that prove what the copies of objects are. */
import type { Express } from "express";
import type { AdminContext } from "../cluster-views.ts";
import { type DurabilityContext, durabilityView } from "./durability-view.ts";
import { provePage, readProveQuery } from "./prove-page.ts";
import { PROVE_PATHS } from "./prove-types.ts";

export interface ProveContext extends Pick<AdminContext, "catalog" | "members">, DurabilityContext {}

export function proveRoutes(app: Express, context: ProveContext): void {
  app.get(PROVE_PATHS.prove, async (request, response) => {
    response.json(await provePage(context, readProveQuery(request.query)));
  });
  app.get(PROVE_PATHS.durability, (_request, response) => {
    response.json(durabilityView(context));
  });
}
