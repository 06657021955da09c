/**
 * Finds and deletes what processes that are gone left on the nodes without ever committing it. Only copies of a session
 * that was ended in a commit can be orphans: nothing of such a session can be committed any more.
 */
import { type Catalog, endedSessions, walk } from "../../catalog/catalog.ts";
import {
  collectedKey,
  collectedRange,
  copyIndexKey,
  orphansHeldKey,
  pendingDeleteKey,
  sessionKey,
} from "../../catalog/keys.ts";
import type { Members } from "../../cluster/members.ts";
import { type BlobStat, type CopyKey, NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { deleteCopy } from "./dying-sweeper.ts";

/** Copies listed at a time. */
const PAGE = 500;

export interface OrphanCollectorDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class OrphanCollector {
  readonly #deps: OrphanCollectorDeps;
  #found = 0;
  #removed = 0;
  #checkedAtMs: number | undefined;

  constructor(deps: OrphanCollectorDeps) {
    this.#deps = deps;
  }

  /** Since the process started. */
  get counts(): { readonly found: number; readonly removed: number } {
    return { found: this.#found, removed: this.#removed };
  }

  /** Wall clock of the end of the last run. */
  get checkedAtMs(): number | undefined {
    return this.#checkedAtMs;
  }

  /** One run over the ended sessions on the nodes that can be asked now. */
  async run(signal: AbortSignal): Promise<void> {
    const { catalog, members } = this.#deps;
    if ((await catalog.kv.get(orphansHeldKey())) !== undefined) return;
    for (const session of await endedSessions(catalog)) {
      let complete = true;
      // Also those that are not configured now: they may come back with what they hold.
      for (const { uuid } of members().topology.nodes) {
        if (signal.aborted) return;
        if ((await catalog.kv.get(collectedKey(session, uuid))) !== undefined) continue;
        const done = await this.#collect(session, uuid, signal);
        if (done) {
          const atomic = catalog.begin().set(collectedKey(session, uuid), new Uint8Array(0));
          await catalog.commit(atomic);
        } else {
          complete = false;
        }
      }
      if (complete) await this.#forget(session);
    }
    this.#checkedAtMs = this.#deps.clock.nowMs();
  }

  /** Collects one session's orphans from one node; whether it went through all of them. */
  async #collect(session: number, nodeUuid: Id, signal: AbortSignal): Promise<boolean> {
    const { members, logger } = this.#deps;
    const node = members().get(nodeUuid)?.spec.name;
    if (!members().servesReads(nodeUuid)) return false;
    let after: CopyKey | undefined;
    let [found, removed] = [0, 0];
    try {
      do {
        const member = members().get(nodeUuid);
        if (member === undefined || signal.aborted) return false;
        const request = { session, limit: PAGE };
        const page = await member.node.list(after === undefined ? request : { ...request, after });
        const orphans = await this.#orphansAmong(nodeUuid, page.blobs);
        found += orphans.length;
        for (const key of orphans) if (await deleteCopy(members(), { nodeUuid, key })) removed++;
        after = page.next;
      } while (after !== undefined);
      return found === removed;
    } catch (error) {
      // One node that cannot tell what it holds keeps nobody from asking the others.
      if (!(error instanceof NodeError)) throw error;
      logger.warn({ err: error, node, session }, "orphans could not be looked for on a node");
      return false;
    } finally {
      this.#found += found;
      this.#removed += removed;
      if (found > 0) logger.warn({ node, session, found, removed }, "orphans collected");
    }
  }

  async #orphansAmong(nodeUuid: Id, blobs: readonly BlobStat[]): Promise<CopyKey[]> {
    const { kv } = this.#deps.catalog;
    const known = await kv.getMany(
      blobs.flatMap(({ key }) => [copyIndexKey(nodeUuid, key), pendingDeleteKey(nodeUuid, key)]),
    );
    return blobs.flatMap(({ key }, at) =>
      known[2 * at] === undefined && known[2 * at + 1] === undefined ? [key] : [],
    );
  }

  async #forget(session: number): Promise<void> {
    const { catalog } = this.#deps;
    const atomic = catalog.begin().delete(sessionKey(session));
    for await (const entry of walk(catalog.kv, collectedRange(session))) atomic.delete(entry.key);
    await catalog.commit(atomic);
  }
}
