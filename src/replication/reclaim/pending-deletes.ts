/**
 * Carries deletions to the nodes that were away when they were due.
 */
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { copyKeyOfPendingDelete, pendingDeletesRange } from "../../catalog/keys.ts";
import type { Members } from "../../cluster/members.ts";
import type { Id } from "../../shared/ids.ts";
import { forEachConcurrently } from "../worker.ts";
import { deleteCopy } from "./dying-sweeper.ts";

/** Deletions under way on a node at a time. */
const CONCURRENCY = 8;

export interface PendingDeletesDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
}

/** One run over the nodes that can be asked now. */
export async function carryOutPendingDeletes(deps: PendingDeletesDeps, signal: AbortSignal): Promise<void> {
  for (const { spec } of deps.members().all()) {
    if (deps.members().servesReads(spec.uuid)) await carryOutOn(deps, spec.uuid, signal);
  }
}

async function carryOutOn({ catalog, members }: PendingDeletesDeps, nodeUuid: Id, signal: AbortSignal): Promise<void> {
  await forEachConcurrently(walk(catalog.kv, pendingDeletesRange(nodeUuid)), CONCURRENCY, signal, async (entry) => {
    const key = copyKeyOfPendingDelete(entry.key);
    if (!(await deleteCopy(members(), { nodeUuid, key }))) return;
    await catalog.commit(catalog.begin().check(entry.key, entry.version).delete(entry.key));
  });
}
