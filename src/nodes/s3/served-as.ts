import type { ServedAs } from "../storage-node.ts";
import type { HttpReply } from "./http-transport.ts";
import { etagOf } from "./write-proofs.ts";

/** What an answer to HEAD says of the object; `undefined` where it does not say enough. */
export function servedAs(reply: Pick<HttpReply, "header">): ServedAs | undefined {
  const etag = etagOf(reply.header("etag"));
  const modifiedAtMs = Date.parse(reply.header("last-modified") ?? "");
  if (etag === undefined || Number.isNaN(modifiedAtMs)) return undefined;
  const contentEncoding = reply.header("content-encoding");
  return { etag, modifiedAtMs, ...(contentEncoding ? { contentEncoding } : {}) };
}
