/**
 * The admin port: health, metrics and the admin API. Only what lies under /api wants a key.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type Server } from "node:http";
import express, { type NextFunction, type Request, type Response } from "express";
import type { Logger } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Secret } from "../shared/secret.ts";
import { API_KEY_HEADER, API_PATHS } from "./api-types.ts";
import {
  acceptRebuild,
  type CatalogContext,
  changes,
  journal,
  rebuildState,
  requestSnapshot,
  snapshot,
  startVerification,
  verification,
} from "./catalog-views.ts";
import { type AdminContext, clusterStatus, domains, replication, workers } from "./cluster-views.ts";
import { addDirectRoutes } from "./direct-routes.ts";
import type { DirectContext } from "./direct-view.ts";
import { type HealthContext, healthRoutes } from "./health-view.ts";
import { jobRoutes } from "./job-routes.ts";
import type { JobsContext } from "./jobs-view.ts";
import { locateObject } from "./locate-object.ts";
import { openApiDocument } from "./openapi.ts";
import { ApiError, sendProblem } from "./problem.ts";
import { addPromotionRoutes, type PromotionContext } from "./promotion-routes.ts";
import { type ProveContext, proveRoutes } from "./prove/prove-routes.ts";
import { readiness } from "./readiness.ts";
import { addRepairRoutes } from "./repair-routes.ts";
import type { RepairContext } from "./repair-view.ts";
import { requestScrub, type ScrubContext, scrubs } from "./scrub-view.ts";
import { addTopologyRoutes } from "./topology-routes.ts";
import type { TopologyContext } from "./topology-views.ts";

export interface AdminServerOptions
  extends TopologyContext,
    ScrubContext,
    CatalogContext,
    DirectContext,
    ProveContext,
    HealthContext,
    RepairContext,
    PromotionContext,
    JobsContext {
  readonly catalog: AdminContext["catalog"];
  readonly journal: CatalogContext["journal"];
  readonly apiKey: Secret;
  readonly metrics: Metrics;
  readonly version: string;
  readonly logger: Logger;
  /** Why the gateway does nothing about nodes that it misses, where it may be cut off itself. */
  readonly isolation?: () => string | undefined;
  /** Whether the gateway is on its way down. */
  readonly draining: () => boolean;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const CONNECTIONS_MAX = 256;
const HEADER_BYTES_MAX = 16_384;
const BODY_BYTES_MAX = 65_536;

export function createAdminServer(options: AdminServerOptions): Server {
  const app = express();
  let served = false;
  app.disable("x-powered-by");
  app.disable("etag");
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  app.get("/readyz", async (_request, response) => {
    const { status, answer } = await readiness({ ...options, served });
    served ||= status === 200;
    response.status(status).json(answer);
  });
  app.get("/metrics", async (_request, response) => {
    const { contentType, body } = await options.metrics.render();
    response.type(contentType).send(body);
  });
  app.get("/openapi.json", (_request, response) => {
    response.json(openApiDocument(options.version));
  });
  app.use("/api", requireKey(options.apiKey));
  app.get(API_PATHS.status, async (_request, response) => {
    response.json(await clusterStatus(options));
  });
  app.get(API_PATHS.workers, async (_request, response) => {
    response.json(await workers(options));
  });
  app.get(API_PATHS.domains, async (_request, response) => {
    response.json(await domains(options));
  });
  app.get(API_PATHS.replication, async (_request, response) => {
    response.json(await replication(options));
  });
  addTopologyRoutes(app, options);
  healthRoutes(app, options);
  app.use(jobRoutes(options, BODY_BYTES_MAX));
  app.get(API_PATHS.scrub, async (_request, response) => {
    response.json(await scrubs(options));
  });
  // Whatever its type is said to be: a body that is not read would ask for more than its sender meant.
  app.post(API_PATHS.scrub, express.json({ limit: BODY_BYTES_MAX, type: () => true }), async (request, response) => {
    await requestScrub(options, request.body);
    response.status(202).json(await scrubs(options));
  });
  app.get(API_PATHS.journal, async (_request, response) => {
    response.json(await journal(options));
  });
  app.get(API_PATHS.snapshot, (_request, response) => {
    response.json(snapshot(options));
  });
  app.post(API_PATHS.snapshot, (_request, response) => {
    response.status(202).json(requestSnapshot(options));
  });
  app.get(API_PATHS.verify, (_request, response) => {
    response.json(verification(options));
  });
  app.post(API_PATHS.verify, (_request, response) => {
    response.status(202).json(startVerification(options));
  });
  app.get(API_PATHS.rebuild, async (_request, response) => {
    response.json(await rebuildState(options));
  });
  app.post(API_PATHS.rebuild, async (_request, response) => {
    response.json(await acceptRebuild(options));
  });
  app.get(API_PATHS.changes, async (request, response) => {
    response.json(await changes(options, request.query));
  });
  addDirectRoutes(app, options);
  proveRoutes(app, options);
  addRepairRoutes(app, options);
  addPromotionRoutes(app, options);
  // By hand: a route would decode and split the key.
  app.use(API_PATHS.objects, async (request, response) => {
    if (request.method !== "GET") throw new ApiError(405, "Method Not Allowed", "only GET is supported here");
    response.json(await locateObject(options, request.url));
  });
  app.use((request: Request) => {
    throw new ApiError(404, "Not Found", `there is nothing at ${request.path}`);
  });
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    if (error instanceof ApiError) return sendProblem(response, error);
    if (isBodyError(error)) return sendProblem(response, new ApiError(400, "Bad Request", "the body is no JSON"));
    options.logger.error({ err: error, path: request.path }, "an admin request failed");
    sendProblem(response, new ApiError(500, "Internal Server Error", "the request failed; the log says why"));
  });
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX },
    app,
  );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

function requireKey(apiKey: Secret): (request: Request, response: Response, next: NextFunction) => void {
  const right = digest(apiKey.reveal());
  return (request, _response, next) => {
    const given = request.header(API_KEY_HEADER);
    if (given === undefined) throw new ApiError(401, "Unauthorized", "the header X-API-Key is missing");
    // Digests have one length, so that nothing can be told from the time that comparing takes.
    if (!timingSafeEqual(digest(given), right)) throw new ApiError(403, "Forbidden", "the X-API-Key is not valid");
    next();
  };
}

/** Whether it is what express throws where it cannot read a request's body. */
function isBodyError(error: unknown): boolean {
  return error instanceof Error && "type" in error && "status" in error && Number(error.status) < 500;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
