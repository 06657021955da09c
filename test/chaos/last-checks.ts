/** What has to be true of the store when all faults are over. Each thing that is not is a violation. */
import { join } from "node:path";
import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { eventually } from "../support/eventually.ts";
import { BULKHEAD } from "../support/gateway.ts";
import type { JobReport } from "../support/job-client.ts";
import { runProgram } from "../support/programs.ts";
import { clientOf } from "../support/s3-client.ts";
import { BUCKET } from "./clients.ts";
import { scrubAll, scrubs, untilOnline, untilReclaimed, untilWhole } from "./condition.ts";
import type { Site } from "./site.ts";
import { blobsOn, namedCopies } from "./unnamed-copies.ts";

const OVER = new Set(["done", "done-with-failures", "failed", "cancelled"]);
/** A search for orphans begins every minute. */
const NOTHING_UNNAMED = { timeoutMs: 150_000, intervalMs: 2_000 };

/** @throws what does not come about in time */
export async function requireRedundancy(site: Site, violation: (what: string) => void): Promise<void> {
  const { gateway } = site;
  await untilOnline(gateway);
  await untilWhole(gateway, "all copies are where they belong in the end");
  await scrubAll(gateway);
  await untilWhole(gateway, "all copies are where they belong after the scrub");
  const { code, stdout, stderr } = await prove(site);
  if (code !== 0) violation(`bulkhead prove ended with ${code}: ${stderr}${stdout.slice(-2_000)}`);
  const { jobs } = (await gateway.admin("/api/v1/storage/cluster/jobs")) as { jobs: JobReport[] };
  for (const { kind, state, detail } of jobs.filter((job) => !OVER.has(job.state))) {
    violation(`${kind} is still ${state} in the end: ${detail}`);
  }
  const path = "/api/v1/storage/cluster/dead-letters";
  const { dead_letters: letters } = (await gateway.admin(path)) as { dead_letters: object[] };
  if (letters.length > 0) violation(`${letters.length} repairs were given up: ${JSON.stringify(letters[0])}`);
}

function prove({ gateway }: Site): ReturnType<typeof runProgram> {
  return runProgram("sh", [BULKHEAD, "prove", "--summary"], {
    env: {
      BULKHEAD_ADMIN_URL: gateway.adminUrl,
      BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
    },
  });
}

/** What processes that ended left on the nodes is gone, and what was deleted too: nodes hold what objects have, no more. */
export async function requireNothingUnnamed(site: Site, violation: (what: string) => void): Promise<void> {
  const { gateway, nodes } = site;
  await abortUploads(site);
  // What belongs to a session is an orphan only when the session has ended.
  await gateway.restart();
  await untilOnline(gateway);
  await untilReclaimed(gateway);
  await eventually("nodes hold nothing that no object has", NOTHING_UNNAMED, async () => {
    const named = await namedCopies(gateway);
    for (const node of nodes) {
      const wanted = named.get(node.name) ?? new Set();
      const held = await blobsOn(node);
      const missing = [...wanted].filter((key) => !held.has(key));
      const unnamed = [...held].filter((key) => !wanted.has(key));
      if (missing.length + unnamed.length > 0) {
        throw new Error(`${node.name} lacks ${missing.length}, has besides ${unnamed.length}: ${unnamed[0]}`);
      }
    }
  }).catch((error: unknown) => violation(`${String(error)}: ${String((error as Error).cause)} (I3)`));
  // The volumes are only seen through the gateway.
  await scrubAll(gateway);
  for (const { node, comparison } of await scrubs(gateway)) {
    const { orphans, unknown } = comparison ?? { orphans: Number.NaN, unknown: Number.NaN };
    if (orphans + unknown !== 0) violation(`${node} holds ${orphans} orphans and ${unknown} unknown copies (I3)`);
  }
}

async function abortUploads({ gateway }: Site): Promise<void> {
  using client = clientOf(gateway);
  for (;;) {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    if (Uploads.length === 0) return;
    for (const { Key, UploadId } of Uploads) {
      await client.send(new AbortMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId }));
    }
  }
}
