/** What the admin API and the metrics tell of how full and how busy a node is. */
import type { Member } from "../cluster/members.ts";
import type { NodeFiguresView } from "../nodes/node-figures.ts";
import type { Capacity } from "../nodes/storage-node.ts";
import type { NodeCapacity } from "../observability/capacity-metrics.ts";
import type { Id } from "../shared/ids.ts";
import type { Worker } from "./api-types.ts";

export interface FiguresContext {
  /** What a node tells of itself, read lately; undefined for a node that is not watched. */
  readonly figuresOf: (nodeUuid: Id) => NodeFiguresView | undefined;
}

/** Never fails, and waits for no server: a node that cannot tell now is one of unknown capacity. */
export async function capacityOf({ figuresOf }: FiguresContext, member: Member): Promise<Capacity | undefined> {
  if (member.state !== "online") return undefined;
  const view = figuresOf(member.spec.uuid);
  // A volume answers at once, and more exactly than what was read some time ago.
  return view?.source === "scraped" ? view.figures.capacity : member.node.capacity().catch(() => undefined);
}

type FiguresFields = Pick<
  Worker,
  "inflight" | "waiting" | "capacity_source" | "disk_type" | "io_utilization" | "scraped_at" | "scrape_error"
>;

/** @param capacity what is told of the node's capacity beside these fields */
export function figuresFields(context: FiguresContext, member: Member, capacity: Capacity | undefined): FiguresFields {
  const { spec } = member;
  const view = context.figuresOf(spec.uuid);
  const scraped = view?.source === "scraped" ? view : undefined;
  const diskType = spec.diskType === "unknown" ? view?.figures.diskType : spec.diskType;
  return {
    disk_type: diskType ?? "unknown",
    inflight: view?.inflight ?? 0,
    waiting: view?.waiting ?? 0,
    capacity_source: capacity === undefined ? null : (view?.source ?? null),
    io_utilization: view?.figures.ioUtilization ?? null,
    scraped_at: scraped?.readAtMs === undefined ? null : new Date(scraped.readAtMs).toISOString(),
    scrape_error: scraped?.error ?? null,
  };
}

/** The nodes whose capacity is known. */
export function knownCapacities({ figuresOf }: FiguresContext, members: readonly Member[]): NodeCapacity[] {
  return members.flatMap(({ spec, state }) => {
    const capacity = state === "online" ? figuresOf(spec.uuid)?.figures.capacity : undefined;
    return capacity === undefined ? [] : [{ node: spec.name, domain: spec.domain, ...capacity }];
  });
}
