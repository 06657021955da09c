/** What the admin API tells while a scenario runs. */
import { eventually } from "../support/eventually.ts";
import type { Gateway } from "../support/gateway.ts";
import { BUCKET } from "./site.ts";

const CLUSTER = "/api/v1/storage/cluster";
const PROOFS_PER_PAGE = 1_000;

/** How many copies are on record as work for repair. */
export async function backlog(gateway: Gateway): Promise<number> {
  const { missing, handoff, unverified, corrupt, dead_letters } = (await gateway.admin(
    `${CLUSTER}/replication`,
  )) as Record<"missing" | "handoff" | "unverified" | "corrupt" | "dead_letters", number>;
  return missing + handoff + unverified + corrupt + dead_letters;
}

/** The names of the standby nodes that serve another domain. */
export async function promotedNodes(gateway: Gateway): Promise<string[]> {
  const { workers } = (await gateway.admin(`${CLUSTER}/workers`)) as {
    workers: readonly { readonly name: string; readonly promoted: boolean }[];
  };
  return workers.filter(({ promoted }) => promoted).map(({ name }) => name);
}

/** Waits until a look at the cluster shows what is waited for. @returns when that was, monotonic */
export async function until(what: string, timeoutMs: number, look: () => Promise<boolean>): Promise<number> {
  await eventually(what, { timeoutMs, intervalMs: 500 }, async () => {
    if (!(await look())) throw new Error("not yet");
  });
  return performance.now();
}

/**
 * The objects with fewer good copies than they are to have, or with one on a node that cannot be asked.
 * @param prefix of the keys that are looked at
 */
export async function unproven(
  gateway: Gateway,
  copies: number,
  prefix = "",
): Promise<{ objects: number; below: string[] }> {
  const below: string[] = [];
  let objects = 0;
  for (let after: string | null = ""; after !== null; ) {
    const query: string = new URLSearchParams({
      ...{ bucket: BUCKET, prefix, limit: String(PROOFS_PER_PAGE) },
      ...(after === "" ? {} : { after }),
    }).toString();
    const page = (await gateway.admin(`/api/v1/prove?${query}`)) as ProofPage;
    objects += page.objects.length;
    for (const { key, below_policy, reachable_copies } of page.objects) {
      if (below_policy || (reachable_copies ?? copies) < copies) below.push(key);
    }
    after = page.next;
  }
  return { objects, below };
}

interface ProofPage {
  readonly objects: readonly {
    readonly key: string;
    readonly below_policy: boolean;
    readonly reachable_copies: number | null;
  }[];
  readonly next: string | null;
}

/** Sum of a metric's series. */
export async function total(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
