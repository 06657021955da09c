/**
 * Objects in a node's bucket that Bulkhead did not write. They are only ever looked for: nothing deletes them (I11).
 * A tree of theirs is one name, so that a large one costs no more than a small one.
 */
import { childrenOf, childText, type XmlElement } from "../../shared/xml.ts";
import { FOREIGN_COUNT_MAX, foreignReport } from "../foreign-report.ts";
import type { ForeignReport } from "../storage-node.ts";
import type { BucketClient } from "./bucket-client.ts";
import { listedKey } from "./listed-keys.ts";
import { BULKHEAD_PREFIX, IDENTITY_KEY, type NodeKeys } from "./node-keys.ts";

const PAGE_KEYS = 1_000;
/** A page may hold fewer names than were asked for, so their number bounds what an endpoint can make us ask. */
const PAGES_MAX = 8;

/** @throws NodeError */
export async function findForeignObjects(
  { client, keys }: { readonly client: BucketClient; readonly keys: NodeKeys },
  signal: AbortSignal | undefined,
): Promise<ForeignReport> {
  // An engine that knows no delimiter names our own objects one by one.
  const isOurs = (name: string): boolean =>
    name === BULKHEAD_PREFIX || name === IDENTITY_KEY || name.startsWith(keys.clusterPrefix);
  const outside = await namesUnder(client, "", signal);
  const within = await namesUnder(client, BULKHEAD_PREFIX, signal);
  // The prefix as the name of an object, as consoles leave it for an empty folder, is one of theirs.
  const marker = within.objects.filter((name) => name === BULKHEAD_PREFIX);
  const named = [...outside.objects, ...outside.prefixes, ...within.objects, ...within.prefixes];
  const foreign = new Set([...named.filter((name) => !isOurs(name)), ...marker]);
  return foreignReport([...foreign], outside.more || within.more);
}

interface Names {
  readonly objects: readonly string[];
  readonly prefixes: readonly string[];
  readonly more: boolean;
}

/** What lies right under a prefix, up to a limit. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
async function namesUnder(client: BucketClient, prefix: string, signal: AbortSignal | undefined): Promise<Names> {
  const objects: string[] = [];
  const prefixes: string[] = [];
  let token: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const { root } = await client.document({
      method: "GET",
      query: {
        "list-type": "2",
        delimiter: "/",
        "encoding-type": "url",
        "max-keys": String(PAGE_KEYS),
        prefix,
        ...(token === undefined ? {} : { "continuation-token": token }),
      },
      signal,
    });
    objects.push(...textsOf(root, "Contents", "Key"));
    prefixes.push(...textsOf(root, "CommonPrefixes", "Prefix"));
    if (childText(root, "IsTruncated") !== "true") return { objects, prefixes, more: false };
    token = childText(root, "NextContinuationToken");
    if (token === undefined || objects.length + prefixes.length > FOREIGN_COUNT_MAX) break;
  }
  return { objects, prefixes, more: true };
}

function textsOf(root: XmlElement, list: string, field: string): string[] {
  return childrenOf(root, list).map((element) => listedKey(root, childText(element, field) ?? ""));
}
