/** Everything that the status screen shows, asked for at once. */
import * as z from "zod";
import {
  API_PATHS,
  type ClusterStatus,
  clusterStatusSchema,
  type Domains,
  domainsSchema,
  type Replication,
  replicationSchema,
  type Worker,
  workersSchema,
} from "../../admin/api-types.ts";
import type { AdminClient } from "../admin-client.ts";

const JOBS_PATH = "/api/v1/storage/cluster/jobs";
const EVENTS_PATH = "/api/v1/storage/cluster/events";
/** Events asked for; the last few of them are shown. */
const EVENTS_ASKED = 10;

const jobSchema = z.object({
  id: z.string(),
  kind: z.string(),
  subject: z.string().nullish(),
  state: z.string(),
  progress_pct: z.number().nullish(),
  eta_seconds: z.number().nullish(),
});
export type ShownJob = z.infer<typeof jobSchema>;

const eventSchema = z
  .object({
    at: z.string().optional(),
    time: z.string().optional(),
    kind: z.string(),
    node: z.string().nullish(),
    domain: z.string().nullish(),
    cause: z.string().nullish(),
  })
  .transform(({ at, time, ...rest }) => ({ ...rest, at: at ?? time ?? "" }));
export type ShownEvent = z.infer<typeof eventSchema>;

export interface StatusView {
  readonly status: ClusterStatus;
  readonly domains: Domains;
  readonly workers: readonly Worker[];
  readonly replication: Replication;
  /** Absent where the gateway has none to tell of. */
  readonly jobs: readonly ShownJob[] | undefined;
  /** The oldest first. */
  readonly events: readonly ShownEvent[] | undefined;
}

/** @throws CliError */
export async function readStatus(admin: AdminClient): Promise<StatusView> {
  const [status, domains, { workers }, replication, jobs, events] = await Promise.all([
    admin.get(API_PATHS.status, clusterStatusSchema),
    admin.get(API_PATHS.domains, domainsSchema),
    admin.get(API_PATHS.workers, workersSchema),
    admin.get(API_PATHS.replication, replicationSchema),
    admin.find(JOBS_PATH, z.object({ jobs: z.array(z.unknown()) })),
    admin.find(`${EVENTS_PATH}?limit=${EVENTS_ASKED}`, z.object({ events: z.array(z.unknown()) })),
  ]);
  return {
    status,
    domains,
    workers,
    replication,
    jobs: jobs?.jobs.flatMap((job) => jobSchema.safeParse(job).data ?? []),
    events: events?.events.flatMap((event) => eventSchema.safeParse(event).data ?? []),
  };
}
