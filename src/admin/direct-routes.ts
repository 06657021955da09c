import express, { type Express } from "express";
import { DIRECT_PATHS } from "./direct-types.ts";
import { buckets, changeBucket, type DirectContext, dropPin, pins, presign } from "./direct-view.ts";

const BODY_BYTES_MAX = 65_536;

/** The routes of presigned URLs, pins and buckets. */
export function addDirectRoutes(app: Express, context: DirectContext): void {
  // Whatever its type is said to be.
  const body = express.json({ limit: BODY_BYTES_MAX, type: () => true });
  app.post(DIRECT_PATHS.presign, body, async (request, response) => {
    // The URL is as good as a key while it lives.
    response.set("Cache-Control", "no-store").json(await presign(context, request.body));
  });
  app.get(DIRECT_PATHS.pins, async (_request, response) => {
    response.json(await pins(context));
  });
  app.delete(`${DIRECT_PATHS.pins}/:pin`, async (request, response) => {
    response.json(await dropPin(context, request.params["pin"] ?? ""));
  });
  app.get(DIRECT_PATHS.buckets, async (request, response) => {
    const { after } = request.query;
    response.json(await buckets(context, typeof after === "string" ? after : ""));
  });
  app.patch(`${DIRECT_PATHS.buckets}/:name`, body, async (request, response) => {
    response.json(await changeBucket(context, request.params["name"] ?? "", request.body));
  });
}
