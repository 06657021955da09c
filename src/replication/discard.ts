/**
 * Gets rid of copies that nothing refers to, of writes that failed or were given up. A node that cannot be reached
 * gets its deletion later, from the record that is left for it.
 */
import type { Catalog } from "../catalog/catalog.ts";
import { pendingDeleteKey } from "../catalog/keys.ts";
import type { Location } from "../catalog/records/blob.ts";
import { encodePendingDelete } from "../catalog/records/dying.ts";
import type { Members } from "../cluster/members.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";

/** Copies that may wait to be discarded; more are left to the orphan collector. */
const QUEUE_MAX = 10_000;
/** Deletions under way at a time. */
const CONCURRENCY = 8;

export interface Discarder {
  /** Returns at once. */
  discard(blobId: Id, copies: readonly Location[]): void;
  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void>;
}

export function createDiscarder(deps: {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly clock: Clock;
  readonly logger: Logger;
}): Discarder {
  const { catalog, members, clock, logger } = deps;
  const queue: { blobId: Id; copy: Location }[] = [];
  const running = new Set<Promise<void>>();

  async function discardOne(blobId: Id, copy: Location): Promise<void> {
    try {
      const member = members().get(copy.nodeUuid);
      // Not asked while it is away: the record costs less than a time-out.
      if (member !== undefined && members().servesReads(copy.nodeUuid)) {
        await member.node.delete(copy.key);
        return;
      }
    } catch {
      // Left to the record, whatever the reason.
    }
    const pending = encodePendingDelete({ blobId, sinceMs: clock.nowMs() });
    await catalog.commit(catalog.begin().set(pendingDeleteKey(copy.nodeUuid, copy.key), pending));
  }

  function fill(): void {
    while (running.size < CONCURRENCY) {
      const next = queue.shift();
      if (next === undefined) return;
      const task = discardOne(next.blobId, next.copy)
        .catch((error: unknown) => {
          logger.warn({ err: error, blobId: next.blobId }, "a discarded copy is left to the orphan collector");
        })
        .finally(() => {
          running.delete(task);
          fill();
        });
      running.add(task);
    }
  }

  return {
    discard(blobId, copies) {
      for (const copy of copies.slice(0, QUEUE_MAX - queue.length)) queue.push({ blobId, copy });
      fill();
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
