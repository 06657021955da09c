/**
 * What MinIO's metrics say of a server: its capacity, and the requests that it works on and that wait. All series of a
 * kind are added up: a server has several drives, a cluster several servers, and requests are counted by operation.
 *
 * The names are those that servers really send, which differ by version and by path:
 * - `/minio/v2/metrics/node`: the drives of the one server that answers; `disk` in place of `drive` until 2023.
 * - `/minio/v2/metrics/cluster`: the capacity of all servers together, and the requests of each.
 * - `/minio/v2/metrics/resource`: drives by their total and used bytes, without what is free.
 * - `/minio/metrics/v3` and what lies under it: likewise under names of its own.
 */
import type { NodeFigures } from "../node-figures.ts";
import type { Capacity } from "../storage-node.ts";
import type { Sample } from "./prometheus-text.ts";

interface CapacityNames {
  readonly total: string;
  readonly free: string;
  /** Stands in where the free bytes are not told. */
  readonly used?: string;
}

/** The first that is told counts: usable bytes of a cluster before its drives' raw ones, which parity makes larger. */
const CAPACITIES: readonly CapacityNames[] = [
  capacityOf("minio_cluster_capacity_usable"),
  capacityOf("minio_cluster_health_capacity_usable"),
  capacityOf("minio_cluster_capacity_raw"),
  capacityOf("minio_cluster_health_capacity_raw"),
  drives("minio_node_drive"),
  drives("minio_system_drive"),
  drives("minio_node_disk"),
];
const INFLIGHT = ["minio_s3_requests_inflight_total", "minio_api_requests_inflight_total"];
const WAITING = ["minio_s3_requests_waiting_total", "minio_api_requests_waiting_total"];

function capacityOf(prefix: string): CapacityNames {
  return { total: `${prefix}_total_bytes`, free: `${prefix}_free_bytes` };
}

function drives(prefix: string): CapacityNames {
  return { ...capacityOf(prefix), used: `${prefix}_used_bytes` };
}

const KNOWN: ReadonlySet<string> = new Set([
  ...CAPACITIES.flatMap(({ total, free, used }) => (used === undefined ? [total, free] : [total, free, used])),
  ...INFLIGHT,
  ...WAITING,
]);

interface Sum {
  readonly amount: number;
  readonly series: number;
}

/** Takes samples one by one, so that nothing of a long answer is kept but the sums. */
export class MinioMetrics {
  readonly #sums = new Map<string, Sum>();

  add({ name, value }: Sample): void {
    if (!KNOWN.has(name)) return;
    // NaN spreads: where one drive does not tell what it holds, the sum of the others would be a wrong figure.
    const own = Number.isFinite(value) && value >= 0 ? value : Number.NaN;
    const { amount, series } = this.#sums.get(name) ?? { amount: 0, series: 0 };
    this.#sums.set(name, { amount: amount + own, series: series + 1 });
  }

  /** What the samples so far say; empty where none of them is known. */
  figures(): NodeFigures {
    const capacity = this.#capacity();
    const waiting = this.#first(WAITING);
    // A server names no operation that has no request under way, and so sends no series at all while it is idle.
    const inflight = this.#first(INFLIGHT) ?? (waiting === undefined || this.#told(INFLIGHT) ? undefined : 0);
    return {
      ...(capacity === undefined ? {} : { capacity }),
      ...(inflight === undefined ? {} : { inflight }),
      ...(waiting === undefined ? {} : { waiting }),
    };
  }

  #capacity(): Capacity | undefined {
    for (const names of CAPACITIES) {
      const total = this.#sum(names.total);
      if (total === undefined || total.amount === 0) continue;
      const freeBytes = this.#freeOf(names, total);
      if (freeBytes === undefined) continue;
      const totalBytes = Math.round(total.amount);
      return { totalBytes, freeBytes, usedBytes: totalBytes - freeBytes };
    }
    return undefined;
  }

  #freeOf({ free, used }: CapacityNames, total: Sum): number | undefined {
    const told = this.#sum(free);
    const taken = used === undefined ? undefined : this.#sum(used);
    // A drive that tells its size and not what is free on it would make the others look fuller than they are.
    let bytes: number;
    if (told?.series === total.series) bytes = told.amount;
    else if (taken?.series === total.series) bytes = total.amount - taken.amount;
    else return undefined;
    // Taken at slightly different moments, they may contradict each other.
    return Math.round(Math.min(total.amount, Math.max(0, bytes)));
  }

  #first(names: readonly string[]): number | undefined {
    for (const name of names) {
      const sum = this.#sum(name);
      if (sum !== undefined) return sum.amount;
    }
    return undefined;
  }

  #told(names: readonly string[]): boolean {
    return names.some((name) => this.#sums.has(name));
  }

  #sum(name: string): Sum | undefined {
    const sum = this.#sums.get(name);
    return sum === undefined || Number.isNaN(sum.amount) ? undefined : sum;
  }
}
