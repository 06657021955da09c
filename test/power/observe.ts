/** Looks at everything that a store shows its clients. */
import { createHash } from "node:crypto";
import { crc32c } from "../../src/shared/crc32c.ts";
import type { ObjectClient } from "../support/object-client.ts";
import type { State } from "./model.ts";

const PAGE = 1_000;

export interface Sight {
  readonly state: State;
  /** By path. */
  readonly etags: ReadonlyMap<string, string>;
  readonly uploadIds: ReadonlyMap<string, string>;
}

export async function observe(client: ObjectClient): Promise<Sight> {
  const state = new Map<string, string>();
  const etags = new Map<string, string>();
  const uploadIds = new Map<string, string>();
  const { buckets } = await client.service.listBuckets({ prefix: "", after: "", maxBuckets: PAGE });
  for (const { name: bucket } of buckets) {
    state.set(`bucket ${bucket}`, "there");
    for (const { key, etag } of (await client.list(bucket)).objects) {
      const path = `${bucket}/${key}`;
      etags.set(path, etag);
      state.set(`object ${path}`, await contentOf(client, path));
    }
    const markers = { prefix: "", delimiter: "", keyMarker: "", uploadIdMarker: "" };
    const { uploads } = await client.service.listUploads({ bucket, ...markers, maxUploads: PAGE });
    for (const { key, uploadId } of uploads) {
      const path = `${bucket}/${key}`;
      state.set(`upload ${path}`, state.has(`upload ${path}`) ? "there more than once" : "there");
      uploadIds.set(path, uploadId);
      const { parts } = await client.service.listParts({ bucket, key, uploadId, after: 0, maxParts: PAGE });
      for (const { partNumber, etag } of parts) state.set(`part ${path} ${partNumber}`, etag);
    }
  }
  return { state, etags, uploadIds };
}

async function contentOf(client: ObjectClient, path: string): Promise<string> {
  try {
    return contentName(await client.get(path));
  } catch (error) {
    return `unreadable (${String(error)})`;
  }
}

export function contentName(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${crc32c(bytes).toString(16)}`;
}

export function etagOf(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}
