/** The admin API's answers about the health of nodes and about events. */
import * as z from "zod";
import { EVENT_KINDS, EVENTS_LIST_MAX } from "../cluster/events/event.ts";
import { NODE_CONDITIONS } from "../cluster/health/conditions.ts";
import type { DiskHealth } from "../cluster/health/heartbeat.ts";
import { NODE_STATES } from "../cluster/health/transitions.ts";

const bytes = (): z.ZodNumber => z.number().int().nonnegative();
const DISK_HEALTHS = ["ok", "full", "failing", "unknown"] as const satisfies readonly DiskHealth[];
const DISK_TYPES = ["ssd", "hdd", "nvme", "unknown"] as const;

export const heartbeatSchema = z
  .object({
    worker_id: z.string(),
    at: z.iso.datetime().meta({ description: "when the node told it" }),
    storage: z.object({
      total_bytes: bytes().nullable(),
      used_bytes: bytes().nullable(),
      free_bytes: bytes().nullable(),
      disk_type: z.enum(DISK_TYPES),
      disk_model: z.string().nullable(),
      io_utilization: z.number().min(0).max(1).nullable(),
      iops_current: z.number().nonnegative().nullable().meta({ description: "calls answered a second, lately" }),
    }),
    replication: z
      .object({
        tier1_files: bytes().nullable(),
        tier2_files: bytes().nullable(),
        tier3_files: bytes().nullable(),
        pending_replications: bytes().nullable(),
      })
      .meta({ description: "not known in this version" }),
    is_master: z.boolean(),
    uptime_seconds: bytes().nullable().meta({ description: "of an embedded node's process" }),
    disk_health: z.enum(DISK_HEALTHS),
  })
  .meta({ id: "Heartbeat" });
export type HeartbeatAnswer = z.infer<typeof heartbeatSchema>;

/** What a worker tells of its health. */
export const workerHealthFields = {
  state: z.enum(NODE_STATES),
  conditions: z.array(z.enum(NODE_CONDITIONS)).meta({ description: "what else is the matter, beside the state" }),
  missed_probes: bytes().meta({ description: "in a row, on the interval clock" }),
  reason: z.string().nullable().meta({ description: "why it is not as it should be" }),
  heartbeat: heartbeatSchema.nullable().meta({ description: "what it last told of itself" }),
};

export const eventSchema = z
  .object({
    sequence: z.number().int().positive().meta({ description: "grows by one, over all gateways" }),
    kind: z.enum(EVENT_KINDS),
    time: z.iso.datetime(),
    node: z.string().nullable(),
    domain: z.string().nullable(),
    cause: z.string(),
    gateway: z.string().meta({ description: "the gateway that saw it" }),
  })
  .meta({ id: "Event" });

export const eventsSchema = z
  .object({
    events: z.array(eventSchema).meta({ description: "in order" }),
    last: z.number().int().nonnegative().meta({ description: "the `after` of what comes next" }),
  })
  .meta({ id: "Events" });
export type Events = z.infer<typeof eventsSchema>;

const EVENTS_LIST_DEFAULT = 100;

export const eventsQuerySchema = z.object({
  after: z.coerce.number().int().nonnegative().optional(),
  limit: z.coerce.number().int().min(1).max(EVENTS_LIST_MAX).default(EVENTS_LIST_DEFAULT),
});
