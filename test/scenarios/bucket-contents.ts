/** What lies in the bucket of a node, seen past the gateway. */
import { paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { MinioServer } from "../support/find-minio.ts";
import { clientOfNode } from "../support/s3-client.ts";

/** Part of the keys of the catalog's journal. */
const JOURNAL = "/blobs/00000000/";

export interface BucketContents {
  /** Copies of clients' data. */
  readonly blobs: number;
  /** Pieces of the catalog's journal. */
  readonly journal: number;
  /** The keys of everything else. */
  readonly others: readonly string[];
}

export async function contentsOf(server: MinioServer, bucket: string): Promise<BucketContents> {
  using client = clientOfNode(server);
  let [blobs, journal] = [0, 0];
  const others: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket })) {
    for (const { Key = "" } of page.Contents ?? []) {
      if (Key.includes(JOURNAL)) journal += 1;
      else if (Key.includes("/blobs/")) blobs += 1;
      else others.push(Key);
    }
  }
  return { blobs, journal, others };
}
