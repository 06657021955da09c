/** The admin API's answers about background jobs. Names are in snake case; `null` stands for what is not known. */
import * as z from "zod";
import { JOB_KINDS, JOB_STATES } from "../catalog/records/job.ts";

export const JOB_PATHS = {
  /** Followed by `/{id}`, `/{id}/failures`, `/{id}/pause`, `/{id}/resume`. */
  jobs: "/api/v1/storage/cluster/jobs",
  rebalance: "/api/v1/storage/cluster/rebalance",
  /** With the name in the middle: `/{name}/drain`. */
  nodes: "/api/v1/storage/cluster/nodes",
  domains: "/api/v1/storage/cluster/domains",
} as const;

const count = (): z.ZodNumber => z.number().int().nonnegative();
const time = (): z.ZodISODateTime => z.iso.datetime();

export const jobSchema = z
  .object({
    id: z.string(),
    kind: z.enum(JOB_KINDS),
    subject: z.object({ kind: z.enum(["node", "domain"]), name: z.string() }),
    to_domain: z.string().nullable().meta({ description: "takes over the copies of a domain that is drained" }),
    state: z.enum(JOB_STATES),
    detail: z.string().nullable().meta({ description: "what it is doing, or how it ended" }),
    cause: z.string(),
    asked_by: z.string(),
    created_at: time(),
    started_at: time().nullable(),
    ended_at: time().nullable(),
    progress_pct: z.number().min(0).max(100).nullable(),
    eta_seconds: count().nullable().meta({ description: "until it is done, at its present pace" }),
    objects_total: count().nullable().meta({ description: "copies on record when it began" }),
    objects_considered: count().meta({ description: "copies that it is done with: moved, skipped or failed" }),
    objects_moved: count().meta({ description: "copies that were moved, restored or checked" }),
    objects_skipped: count().meta({ description: "copies that are where they belong" }),
    objects_failed: count(),
    bytes_moved: count(),
  })
  .meta({ id: "Job" });
export type JobAnswer = z.infer<typeof jobSchema>;

export const jobsSchema = z
  .object({
    jobs: z.array(jobSchema).meta({ description: "the newest first; those that are over are kept for a while" }),
  })
  .meta({ id: "Jobs" });
export type JobsAnswer = z.infer<typeof jobsSchema>;

export const jobFailuresSchema = z
  .object({
    job: jobSchema,
    failures: z
      .array(z.object({ blob_id: z.string(), slot: count(), reason: z.string(), at: time() }))
      .meta({ description: "at most 1,000 of them" }),
  })
  .meta({ id: "JobFailures" });
export type JobFailuresAnswer = z.infer<typeof jobFailuresSchema>;

const cause = z.string().max(500).optional().meta({ description: "why, for people" });

export const jobRequestSchema = z
  .strictObject({
    kind: z.enum(JOB_KINDS),
    node: z.string().optional().meta({ description: "name of the node that it is about" }),
    domain: z.string().optional().meta({ description: "name of the domain that it is about, instead" }),
    to_domain: z.string().optional().meta({ description: "for a domain that is drained: where its copies go" }),
    cause,
  })
  .refine(({ node, domain }) => (node === undefined) !== (domain === undefined), {
    error: "name either a node or a domain",
  })
  .meta({ id: "JobRequest" });

export const rebalanceRequestSchema = z
  .strictObject({
    node: z.string().optional().meta({ description: "only what belongs on this node" }),
    domain: z.string().optional().meta({ description: "only this domain; every active one when neither is named" }),
    cause,
  })
  .refine(({ node, domain }) => node === undefined || domain === undefined, {
    error: "name a node or a domain, not both",
  })
  .meta({ id: "RebalanceRequest" });

export const rebalanceSchema = z
  .object({
    status: z.enum(["idle", "queued", "running", "paused"]),
    jobs: z.array(jobSchema).meta({ description: "those that are not over, and the last one that is" }),
  })
  .meta({ id: "Rebalance" });
export type RebalanceAnswer = z.infer<typeof rebalanceSchema>;
