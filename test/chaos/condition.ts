/** Waits for the store to be in a condition, by what the gateway says of itself. */

import { eventually } from "../support/eventually.ts";
import type { Gateway } from "../support/gateway.ts";

/** Until every copy is where it belongs again. */
const PATIENCE = { timeoutMs: 240_000, intervalMs: 500 };
const ONLINE = { timeoutMs: 240_000, intervalMs: 200 };

type Backlog = Record<"missing" | "handoff" | "unverified" | "corrupt" | "dying_blobs" | "orphans", number> & {
  readonly orphans_checked_at: string | null;
};

export interface Scrub {
  readonly node: string;
  readonly state: string;
  readonly last_pass: { readonly ended_at: string } | null;
  readonly comparison: { readonly ended_at: string; readonly orphans: number; readonly unknown: number } | null;
}

/** Resolves when the gateway takes every node for well. */
export async function untilOnline(gateway: Gateway): Promise<void> {
  await eventually("every node is online", ONLINE, async () => {
    const path = "/api/v1/storage/cluster/workers";
    const { workers } = (await gateway.admin(path)) as { workers: { name: string; state: string }[] };
    const away = workers.filter(({ state }) => state !== "online").map(({ name, state }) => `${name} ${state}`);
    if (away.length > 0) throw new Error(away.join(", "));
  });
}

/** Resolves when every copy is where it belongs. */
export async function untilWhole(gateway: Gateway, what: string): Promise<void> {
  await eventually(what, PATIENCE, async () => {
    const { missing, handoff, unverified, corrupt } = await backlogOf(gateway);
    const backlog = { missing, handoff, unverified, corrupt };
    if (Object.values(backlog).some((count) => count > 0)) throw new Error(JSON.stringify(backlog));
  });
}

/** Resolves when nothing waits to be deleted, and orphans were looked for since the gateway began. */
export async function untilReclaimed(gateway: Gateway): Promise<void> {
  await eventually("everything is reclaimed", PATIENCE, async () => {
    const { dying_blobs: dying, orphans, orphans_checked_at: checkedAt } = await backlogOf(gateway);
    if (dying > 0 || orphans > 0 || checkedAt === null) throw new Error(JSON.stringify({ dying, orphans, checkedAt }));
  });
}

/** Has every copy on every node read, so that what was lost behind the gateway's back is found. */
export async function scrubAll(gateway: Gateway): Promise<void> {
  const before = new Map((await scrubs(gateway)).map(({ node, last_pass }) => [node, last_pass?.ended_at]));
  await gateway.adminPost("/api/v1/storage/cluster/scrub", {});
  await eventually("every node is scrubbed", PATIENCE, async () => {
    const still = (await scrubs(gateway)).filter(
      ({ node, last_pass, state }) => state !== "idle" || last_pass?.ended_at === before.get(node),
    );
    if (still.length > 0) throw new Error(still.map(({ node, state }) => `${node} ${state}`).join(", "));
  });
}

export async function scrubs(gateway: Gateway): Promise<Scrub[]> {
  return ((await gateway.admin("/api/v1/storage/cluster/scrub")) as { nodes: Scrub[] }).nodes;
}

/** Whether copies are missing, misplaced, unverified or corrupt. */
export async function hasBacklog(gateway: Gateway): Promise<boolean> {
  const { missing, handoff, unverified, corrupt } = await backlogOf(gateway);
  return missing + handoff + unverified + corrupt > 0;
}

async function backlogOf(gateway: Gateway): Promise<Backlog> {
  return (await gateway.admin("/api/v1/storage/cluster/replication")) as Backlog;
}
