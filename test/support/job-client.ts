/** Jobs of a gateway process, as an operator asks for them and looks at them. Nothing here imports src/. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";
import { BULKHEAD, type Gateway } from "./gateway.ts";

export interface JobReport {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly detail: string | null;
  readonly objects_total: number | null;
  readonly objects_considered: number;
  readonly objects_moved: number;
  readonly objects_skipped: number;
  readonly objects_failed: number;
  readonly bytes_moved: number;
}

const OVER = ["done", "done-with-failures", "failed", "cancelled"];

/** A command as an operator types it; its answer parsed. */
export async function bulkhead(gateway: Gateway, ...args: string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)("sh", [BULKHEAD, ...args, "--json"], {
    env: {
      ...process.env,
      BULKHEAD_ADMIN_URL: gateway.adminUrl,
      BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
    },
  });
  return JSON.parse(stdout);
}

export async function jobReport(gateway: Gateway, id: string): Promise<JobReport> {
  return (await gateway.admin(`/api/v1/storage/cluster/jobs/${id}`)) as JobReport;
}

/** Waits until a job has moved some copies. */
export function jobMoved(gateway: Gateway, id: string, count: number, timeoutMs = 120_000): Promise<JobReport> {
  return eventually(`the job has moved ${count} copies`, { timeoutMs, intervalMs: 50 }, async () => {
    const job = await jobReport(gateway, id);
    if (OVER.includes(job.state)) throw new Error(`it is over: ${JSON.stringify(job)}`);
    if (job.objects_moved < count) throw new Error(JSON.stringify(job));
    return job;
  });
}

/** Waits until a job is over. */
export function jobOver(gateway: Gateway, id: string, timeoutMs = 240_000): Promise<JobReport> {
  return eventually("the job is over", { timeoutMs, intervalMs: 250 }, async () => {
    const job = await jobReport(gateway, id);
    if (!OVER.includes(job.state)) throw new Error(JSON.stringify(job));
    return job;
  });
}
