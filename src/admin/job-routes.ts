/** The routes of background jobs under the admin API. */
import express, { type Router } from "express";
import { JOB_PATHS } from "./job-types.ts";
import {
  cancelRebalance,
  changeJob,
  drainDomain,
  drainNode,
  type JobsContext,
  jobFailures,
  listJobs,
  rebalanceState,
  showJob,
  startRebalance,
  submitJob,
} from "./jobs-view.ts";

/** @param bodyBytesMax of a request's body */
export function jobRoutes(context: JobsContext, bodyBytesMax: number): Router {
  const router = express.Router();
  const body = express.json({ limit: bodyBytesMax, type: () => true });
  const one = `${JOB_PATHS.jobs}/:id` as const;
  router.get(JOB_PATHS.jobs, async (_request, response) => {
    response.json(await listJobs(context));
  });
  router.post(JOB_PATHS.jobs, body, async (request, response) => {
    response.status(202).json(await submitJob(context, request.body));
  });
  router.get(one, async (request, response) => {
    response.json(await showJob(context, request.params.id));
  });
  router.delete(one, async (request, response) => {
    response.status(202).json(await changeJob(context, request.params.id, "cancel"));
  });
  router.get(`${JOB_PATHS.jobs}/:id/failures`, async (request, response) => {
    response.json(await jobFailures(context, request.params.id));
  });
  for (const call of ["pause", "resume"] as const) {
    router.post(`${JOB_PATHS.jobs}/:id/${call}`, async (request, response) => {
      response.status(202).json(await changeJob(context, request.params["id"] ?? "", call));
    });
  }
  router.post(`${JOB_PATHS.nodes}/:name/drain`, async (request, response) => {
    response.status(202).json(await drainNode(context, request.params.name));
  });
  router.post(`${JOB_PATHS.domains}/:name/drain`, async (request, response) => {
    response.status(202).json(await drainDomain(context, request.params.name, request.query["to"]));
  });
  router.get(JOB_PATHS.rebalance, async (_request, response) => {
    response.json(await rebalanceState(context));
  });
  router.post(JOB_PATHS.rebalance, body, async (request, response) => {
    response.status(202).json(await startRebalance(context, request.body));
  });
  router.delete(JOB_PATHS.rebalance, async (_request, response) => {
    response.status(202).json(await cancelRebalance(context));
  });
  return router;
}
