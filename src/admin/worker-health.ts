import type { Heartbeat } from "../cluster/health/heartbeat.ts";
import type { Member } from "../cluster/members.ts";
import type { Worker } from "./api-types.ts";
import type { HeartbeatAnswer } from "./health-types.ts";

/** What a member tells of its health, as the admin API has it. */
export function healthFields(
  member: Member,
): Pick<Worker, "state" | "conditions" | "missed_probes" | "reason" | "heartbeat"> {
  return {
    state: member.state,
    conditions: [...member.conditions],
    missed_probes: member.missedProbes,
    reason: member.reason ?? null,
    heartbeat: member.heartbeat === undefined ? null : heartbeatAnswer(member.heartbeat),
  };
}

function heartbeatAnswer({ workerId, atMs, storage, ...rest }: Heartbeat): HeartbeatAnswer {
  const { capacity, diskType, diskModel, ioUtilization, iopsCurrent } = storage;
  return {
    worker_id: workerId,
    at: new Date(atMs).toISOString(),
    storage: {
      total_bytes: capacity?.totalBytes ?? null,
      used_bytes: capacity?.usedBytes ?? null,
      free_bytes: capacity?.freeBytes ?? null,
      disk_type: diskType,
      disk_model: diskModel ?? null,
      io_utilization: ioUtilization ?? null,
      iops_current: iopsCurrent ?? null,
    },
    replication: { tier1_files: null, tier2_files: null, tier3_files: null, pending_replications: null },
    is_master: rest.isMaster,
    uptime_seconds: rest.uptimeSeconds ?? null,
    disk_health: rest.diskHealth,
  };
}
