/** What really lies on the MinIO servers of a cluster, seen past the gateway, against what the gateway says. */
import assert from "node:assert/strict";
import { GetObjectCommand, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { type Copy, locate } from "./admin.ts";
import { domainName, nodeName } from "./clusters.ts";
import type { MinioServer } from "./find-minio.ts";
import type { Gateway } from "./gateway.ts";
import { bytesOf, type Ledger } from "./ledger.ts";
import { clientOfNode } from "./s3-client.ts";

/** Objects whose bytes are fetched from every node and compared, besides the names of all. */
const COMPARED_OBJECTS_MAX = 40;

export interface ExpectedContents {
  readonly gateway: Gateway;
  readonly minio: readonly MinioServer[];
  readonly bucket: string;
  readonly ledger: Ledger;
  /** Copies that every blob must have, each in another domain. */
  readonly copies: number;
}

/**
 * Throws unless every object of the ledger has all its copies, each present on the node that is said to hold it and with
 * the right bytes, and no node holds a blob besides. The bucket must be the cluster's only one.
 */
export async function assertNodesHoldExactly(expected: ExpectedContents): Promise<void> {
  const recorded = new Map(expected.minio.map((_, index) => [nodeName(index), new Set<string>()]));
  const compared: { key: string; copies: readonly Copy[] }[] = [];
  for (const key of expected.ledger.presentKeys()) {
    const extents = await locate(expected.gateway, expected.bucket, key);
    for (const copies of extents) {
      assertComplete(key, copies, expected.copies);
      for (const { node, location } of copies) recorded.get(node ?? "")?.add(location?.key ?? "");
    }
    const [only, ...others] = extents;
    if (only !== undefined && others.length === 0 && compared.length < COMPARED_OBJECTS_MAX) {
      compared.push({ key, copies: only });
    }
  }
  for (const [index, server] of expected.minio.entries()) {
    const held = await blobsOn(server, index);
    const wanted = recorded.get(nodeName(index)) ?? new Set();
    const missing = [...wanted].filter((key) => !held.has(key));
    const surplus = [...held].filter((key) => !wanted.has(key));
    assert.deepEqual({ missing, surplus }, { missing: [], surplus: [] }, `blobs on ${nodeName(index)}`);
  }
  for (const { key, copies } of compared) for (const copy of copies) await assertBytes(expected, key, copy);
}

/** The catalog's journal. */
const JOURNAL = "/blobs/00000000/";

/** The keys of all blobs on a node. */
export async function blobsOn(server: MinioServer, index: number): Promise<Set<string>> {
  using client = clientOfNode(server);
  const held = new Set<string>();
  for await (const page of paginateListObjectsV2({ client }, { Bucket: nodeName(index), Prefix: ".bulkhead/" })) {
    for (const { Key } of page.Contents ?? []) if (Key?.includes("/blobs/") && !Key.includes(JOURNAL)) held.add(Key);
  }
  return held;
}

function assertComplete(key: string, copies: readonly Copy[], count: number): void {
  const states = copies.map((copy) => `${copy.domain} ${copy.state}`).sort();
  const wanted = Array.from({ length: count }, (_, index) => `${domainName(index)} ok`);
  assert.deepEqual(states, wanted, `the copies of ${key}`);
}

async function assertBytes({ minio, ledger }: ExpectedContents, key: string, copy: Copy): Promise<void> {
  const server = minio.find((_, index) => nodeName(index) === copy.node);
  const state = ledger.known(key);
  assert.ok(server !== undefined && copy.location !== null && state !== "absent");
  using client = clientOfNode(server);
  const { Body } = await client.send(new GetObjectCommand({ Bucket: copy.location.container, Key: copy.location.key }));
  const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
  assert.ok(bytes.equals(bytesOf(state)), `the copy of ${key} on ${copy.node} has other bytes`);
}
