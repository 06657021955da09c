/**
 * The change feed: what every commit wrote, in order, for consumers that keep their place in the catalog. Each change
 * comes at least once: whoever reads, acts and then moves its cursor gets those after the cursor again when it stops
 * in between.
 */
import { type Catalog, COMMIT_ATTEMPTS_MAX } from "../catalog.ts";
import { cursorKey, cursorsRange } from "../keys.ts";
import { CatalogError, type KvChange, type KvKey } from "../kv.ts";
import { decodeCursor, encodeCursor } from "../records/cursor.ts";
import { CURSORS_MAX, readCursors } from "./cursors.ts";
import type { ChangePage, DurableChanges } from "./durable-changes.ts";

const CURSORS = cursorsRange();

export interface ChangeFeedDeps {
  readonly catalog: Pick<Catalog, "kv" | "begin" | "commit">;
  readonly changes: Pick<DurableChanges, "after">;
}

export class ChangeFeed {
  readonly #deps: ChangeFeedDeps;

  constructor(deps: ChangeFeedDeps) {
    this.#deps = deps;
  }

  /**
   * Changes after a commit, of at most `limit` commits, none that could still be lost. Left out are commits that changed
   * nothing and those that only moved cursors, which would make a consumer feed itself: there may be no changes
   * and yet a `next` to go on from. The end is reached where `next` equals `after`.
   * @throws CursorLostError; RangeError when there is no such commit yet; CatalogError
   */
  async read(after: number, limit: number, signal?: AbortSignal): Promise<ChangePage> {
    const { changes, next } = await this.#deps.changes.after(after, limit, signal);
    return { changes: changes.filter(isForConsumers), next };
  }

  /** The last commit that a consumer is done with; undefined for one that has no cursor. @throws CatalogError */
  async cursor(name: string): Promise<number | undefined> {
    const entry = await this.#deps.catalog.kv.get(cursorKey(name));
    return entry === undefined ? undefined : decodeCursor(entry.value).version;
  }

  /**
   * Moves a consumer's cursor on, making it at the first time; never back. From then on the changes after it are kept
   * for it, up to a limit of bytes.
   * @throws RangeError when there are too many consumers; CatalogError; SessionEndedError
   */
  async advance(name: string, version: number): Promise<void> {
    const { catalog } = this.#deps;
    const key = cursorKey(name);
    for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
      const entry = await catalog.kv.get(key);
      if (entry === undefined && (await readCursors(catalog.kv)).length >= CURSORS_MAX) {
        throw new RangeError("there are too many consumers of the changes");
      }
      if (entry !== undefined && decodeCursor(entry.value).version >= version) return;
      const atomic = catalog.begin().check(key, entry?.version ?? null);
      if ((await catalog.commit(atomic.set(key, encodeCursor({ version })))).committed) return;
    }
    throw new CatalogError("unavailable", "a cursor is moved by others all the time");
  }

  /** Ends a consumer: nothing is kept for it any more. @throws CatalogError; SessionEndedError */
  async forget(name: string): Promise<void> {
    const { catalog } = this.#deps;
    await catalog.commit(catalog.begin().delete(cursorKey(name)));
  }
}

function isForConsumers({ writes }: KvChange): boolean {
  return writes.some(({ key }) => !isCursor(key));
}

function isCursor(key: KvKey): boolean {
  return Buffer.compare(key, CURSORS.start) >= 0 && Buffer.compare(key, CURSORS.end) < 0;
}
