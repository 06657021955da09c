/** Where the admin port has repair and its dead letters. */
import express, { type Express } from "express";
import { REPAIR_PATHS } from "./repair-types.ts";
import { listDeadLetters, type RepairContext, repairStatus, replayDeadLetters, showDeadLetter } from "./repair-view.ts";

const BODY_BYTES_MAX = 65_536;

export function addRepairRoutes(app: Express, context: RepairContext): void {
  app.get(REPAIR_PATHS.repair, async (_request, response) => {
    response.json(await repairStatus(context));
  });
  app.post(REPAIR_PATHS.repair, async (_request, response) => {
    context.runRepair();
    response.status(202).json(await repairStatus(context));
  });
  app.get(REPAIR_PATHS.deadLetters, async (request, response) => {
    response.json(await listDeadLetters(context, request.query));
  });
  // Whatever its type is said to be: a body that is not read would ask for more than its sender meant.
  const body = express.json({ limit: BODY_BYTES_MAX, type: () => true });
  app.post(REPAIR_PATHS.replay, body, async (request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    response.json(await replayDeadLetters(context, request.body, gone.signal));
  });
  app.get(`${REPAIR_PATHS.deadLetters}/:blobId/:slot`, async (request, response) => {
    const { blobId, slot } = request.params;
    response.json(await showDeadLetter(context, blobId, slot));
  });
}
