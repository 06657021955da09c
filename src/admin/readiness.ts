import type { Catalog } from "../catalog/catalog.ts";
import type { Journal } from "../catalog/journal/journal.ts";
import { clusterKey } from "../catalog/keys.ts";
import type { Member, Members } from "../cluster/members.ts";
import type { Readiness } from "./api-types.ts";
import { unconfiguredHolders } from "./cluster-views.ts";
import { type CoordinatorState, troubleOfCoordinator } from "./coordinator-view.ts";

/**
 * Whether the gateway is of use to clients: 200 while the catalog answers, 503 while it does not, while nodes are still
 * to be checked for the first time, and while the gateway is on its way down. Nodes that are away make it `degraded` or, where writes cannot be taken, `read-only`.
 */
export async function readiness(context: {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly journal: Pick<Journal, "summary">;
  readonly coordination: () => CoordinatorState;
  /** Why it does nothing about nodes that it misses, where it may be cut off itself. */
  readonly isolation?: () => string | undefined;
  readonly draining: () => boolean;
  /** Whether it was ready before: a node that is added then has yet to be checked, and nobody waits for it. */
  readonly served?: boolean;
}): Promise<{ status: 200 | 503; answer: Readiness }> {
  if (context.draining()) return { status: 503, answer: { status: "draining", reasons: ["the gateway is stopping"] } };
  let unconfigured: readonly string[];
  try {
    await context.catalog.kv.get(clusterKey());
    unconfigured = await unconfiguredHolders(context);
  } catch {
    return { status: 503, answer: { status: "no-catalog", reasons: ["the catalog does not answer"] } };
  }
  const members = context.members();
  // What is on a node that was not looked at yet would be answered 503.
  const joining = members.all().filter((member) => member.state === "joining");
  if (joining.length > 0 && context.served !== true) {
    const names = joining.map(({ spec }) => spec.name).join(", ");
    return { status: 503, answer: { status: "starting", reasons: [`not checked yet: ${names}`] } };
  }
  const isolated = context.isolation?.();
  const reasons = [
    ...(isolated === undefined ? [] : [`this gateway may be cut off, and acts on no loss of a node: ${isolated}`]),
    ...members.all().flatMap((member) => troubleOf(member, members.acceptsWrites(member.spec.uuid))),
    ...unconfigured.map((name) => `node ${name} holds copies but is not configured any more`),
    ...troubleOfCoordinator(context.coordination()),
  ];
  const { mode, failure } = context.journal.summary();
  if (failure !== undefined) reasons.unshift(`the catalog's journal cannot be written: ${failure}`);
  if (failure !== undefined && mode === "sync") return { status: 200, answer: { status: "read-only", reasons } };
  if (!canWrite(members)) {
    return { status: 200, answer: { status: "read-only", reasons: ["too few nodes accept writes", ...reasons] } };
  }
  return { status: 200, answer: { status: reasons.length === 0 ? "ok" : "degraded", reasons } };
}

/** Any blob: whether its copies find nodes depends on the nodes alone. */
const BLOB_ID = "0".repeat(32);

/** Whether a write would be acknowledged if all nodes that are said to accept it did so. */
function canWrite(members: Members): boolean {
  const { slots, handoff } = members.placement.plan({
    key: BLOB_ID,
    writable: (uuid) => members.acceptsWrites(uuid),
  });
  const served = slots.filter(({ candidates }) => candidates.length > 0);
  const { quorum, degradedWrite } = members.topology.replication;
  if (new Set(served.map(({ domain }) => domain)).size >= quorum) return true;
  const copies = Math.min(slots.length, served.length + handoff.length);
  return degradedWrite.enabled && copies >= degradedWrite.minReplicas;
}

function troubleOf({ spec, state, conditions, reason }: Member, acceptsWrites: boolean): string[] {
  const trouble = state === "online" ? conditions.find((condition) => condition !== "full") : state;
  if (trouble !== undefined) return [`node ${spec.name} is ${trouble}${reason === undefined ? "" : `: ${reason}`}`];
  return spec.acceptsWrites && !acceptsWrites ? [`node ${spec.name} has no room for new copies`] : [];
}
