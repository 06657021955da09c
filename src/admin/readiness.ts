import type { Catalog } from "../catalog/catalog.ts";
import { clusterKey } from "../catalog/keys.ts";
import type { Member, Members } from "../cluster/members.ts";
import type { Readiness } from "./api-types.ts";
import { unconfiguredHolders } from "./cluster-views.ts";

/**
 * Whether the gateway is of use to clients: 200 while the catalog answers, 503 while it does not or while the gateway
 * is on its way down. Nodes that are away make it `degraded` or, where writes cannot be taken, `read-only`.
 */
export async function readiness(context: {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly draining: () => boolean;
}): Promise<{ status: 200 | 503; answer: Readiness }> {
  if (context.draining()) return { status: 503, answer: { status: "draining", reasons: ["the gateway is stopping"] } };
  try {
    await context.catalog.kv.get(clusterKey());
  } catch {
    return { status: 503, answer: { status: "no-catalog", reasons: ["the catalog does not answer"] } };
  }
  const members = context.members();
  const reasons = [
    ...members.all().flatMap((member) => troubleOf(member, members.acceptsWrites(member.spec.uuid))),
    ...(await unconfiguredHolders(context)).map((name) => `node ${name} holds copies but is not configured any more`),
  ];
  const writable = members.all().filter(({ spec }) => members.acceptsWrites(spec.uuid)).length;
  const { degradedWrite, quorum } = members.topology.replication;
  const needed = degradedWrite.enabled ? degradedWrite.minReplicas : quorum;
  if (writable < needed) {
    return { status: 200, answer: { status: "read-only", reasons: ["too few nodes accept writes", ...reasons] } };
  }
  return { status: 200, answer: { status: reasons.length === 0 ? "ok" : "degraded", reasons } };
}

function troubleOf({ spec, state, reason }: Member, acceptsWrites: boolean): string[] {
  if (state !== "online") return [`node ${spec.name} is ${state}${reason === undefined ? "" : `: ${reason}`}`];
  return spec.acceptsWrites && !acceptsWrites ? [`node ${spec.name} has no room for new copies`] : [];
}
