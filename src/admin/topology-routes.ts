/** Where the admin API is asked to change nodes, domains and live settings. */
import express, { type Express, type RequestHandler } from "express";
import { API_PATHS } from "./api-types.ts";
import {
  addDomain,
  addNode,
  changeDomain,
  changeLiveSettings,
  changeNode,
  liveSettings,
  reload,
  removeDomain,
  removeNode,
  type TopologyContext,
} from "./topology-views.ts";

const BODY_BYTES_MAX = 65_536;

export function addTopologyRoutes(app: Express, context: TopologyContext): void {
  // Whatever its type is said to be: a body that is not read would ask for less than its sender meant.
  const body: RequestHandler = express.json({ limit: BODY_BYTES_MAX, type: () => true });
  app.post(API_PATHS.nodes, body, async (request, response) => {
    response.status(201).json(await addNode(context, request.body));
  });
  app.patch(`${API_PATHS.nodes}/:name`, body, async (request, response) => {
    response.json(await changeNode(context, nameIn(request.params), request.body));
  });
  app.delete(`${API_PATHS.nodes}/:name`, async (request, response) => {
    response.json(await removeNode(context, nameIn(request.params), request.query["lost"]));
  });
  app.post(API_PATHS.domains, body, async (request, response) => {
    response.status(201).json(await addDomain(context, request.body));
  });
  app.patch(`${API_PATHS.domains}/:name`, body, async (request, response) => {
    response.json(await changeDomain(context, nameIn(request.params), request.body));
  });
  app.delete(`${API_PATHS.domains}/:name`, async (request, response) => {
    response.json(await removeDomain(context, nameIn(request.params)));
  });
  app.get(API_PATHS.config, async (_request, response) => {
    response.json(await liveSettings(context));
  });
  // What is absent stays as it is either way.
  for (const method of ["put", "patch"] as const) {
    app[method](API_PATHS.config, body, async (request, response) => {
      response.json(await changeLiveSettings(context, request.body));
    });
  }
  app.post(API_PATHS.reload, async (_request, response) => {
    response.json(await reload(context));
  });
}

function nameIn(params: Readonly<Record<string, string | string[] | undefined>>): string {
  const name = params["name"];
  return typeof name === "string" ? name : "";
}
