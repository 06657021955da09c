/** What lies on the nodes, seen past the gateway, beside what the gateway says of it. */
import { ListObjectsV2Command, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { Gateway } from "../support/gateway.ts";
import { clientOf, clientOfNode } from "../support/s3-client.ts";
import { BUCKET } from "./clients.ts";
import type { SiteNode } from "./site.ts";

/** The catalog's journal. */
const JOURNAL = "/blobs/00000000/";

interface Located {
  readonly versions: readonly {
    readonly extents: readonly {
      readonly copies: readonly { readonly node: string | null; readonly location: { readonly key: string } | null }[];
    }[];
  }[];
}

/** The keys of all blobs on a node. */
export async function blobsOn({ server, name }: SiteNode): Promise<Set<string>> {
  using client = clientOfNode(server);
  const held = new Set<string>();
  for await (const page of paginateListObjectsV2({ client }, { Bucket: name, Prefix: ".bulkhead/" })) {
    for (const { Key } of page.Contents ?? []) if (Key?.includes("/blobs/") && !Key.includes(JOURNAL)) held.add(Key);
  }
  return held;
}

/** The keys of all copies of all objects, by the name of the node. */
export async function namedCopies(gateway: Gateway): Promise<Map<string, Set<string>>> {
  const named = new Map<string, Set<string>>();
  for (const key of await keysOf(gateway)) {
    const path = key.split("/").map(encodeURIComponent).join("/");
    // A client may have deleted it just now.
    const located = await gateway.admin(`/api/v1/objects/${BUCKET}/${path}`).catch(() => ({ versions: [] }));
    for (const { extents } of (located as Located).versions) {
      for (const { node, location } of extents.flatMap(({ copies }) => copies)) {
        if (node === null || location === null) continue;
        named.set(node, (named.get(node) ?? new Set()).add(location.key));
      }
    }
  }
  return named;
}

async function keysOf(gateway: Gateway): Promise<string[]> {
  using client = clientOf(gateway);
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const StartAfter = after === undefined ? {} : { StartAfter: after };
    const page = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, ...StartAfter }));
    const found = page.Contents?.flatMap(({ Key }) => Key ?? []) ?? [];
    keys.push(...found);
    after = page.IsTruncated === true ? found.at(-1) : undefined;
  } while (after !== undefined);
  return keys;
}
