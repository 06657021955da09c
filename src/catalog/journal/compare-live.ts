/**
 * Compares a replayed catalog with the one in use, which goes on changing: what differs is looked at again after the
 * changes that came meanwhile were replayed too. A difference is one where nothing was written in between.
 */

import { keyText } from "../key-text.ts";
import type { KvEntry, KvStore } from "../kv.ts";
import { restoredBy } from "../kv-change.ts";
import { differences } from "./compare.ts";
import type { DurableChanges } from "./durable-changes.ts";

/** Rounds after which an entry that was written in each of them is taken for right: the journal tells of each write. */
const ROUNDS_MAX = 8;
/** Entries that are looked at again together. */
const SUSPECTS_MAX = 1_000;
/** Commits replayed at a time. */
const CATCH_UP_COMMITS = 1_000;

export interface LiveComparison {
  /** A catalog as the journal says that it was after commit `version`; it is brought on. */
  readonly replayed: KvStore;
  readonly version: number;
  readonly live: KvStore;
  readonly changes: Pick<DurableChanges, "after">;
  /** Resolves when all that is committed is durable in the journal. @throws CatalogError */
  readonly flush: () => Promise<void>;
  /** Waited for after each page, told of its entries. */
  readonly rest: (entries: number) => Promise<void>;
  /** @throws when the replayed catalog may not grow further */
  readonly requireRoom: () => void;
  /** Told of each entry that the journal tells differently. */
  readonly onDifference: (key: Uint8Array, what: "missing" | "extra" | "other") => void;
  readonly signal: AbortSignal;
}

/** @throws CursorLostError; CatalogError; the signal's reason; what `requireRoom` throws */
export async function compareWithJournal(deps: LiveComparison): Promise<void> {
  const { replayed, live, signal } = deps;
  let suspects: Buffer[] = [];
  let version = deps.version;
  let [halves, counted] = [0, 0];
  // Each entry is in a page of either.
  const onPage = async (entries: number): Promise<void> => {
    halves += entries;
    const whole = Math.floor(halves / 2) - counted;
    counted += whole;
    await deps.rest(whole);
  };
  for await (const { key } of differences(replayed, live, onPage)) {
    signal.throwIfAborted();
    suspects.push(key);
    if (suspects.length < SUSPECTS_MAX) continue;
    version = await decide(deps, suspects, version);
    suspects = [];
  }
  await decide(deps, suspects, version);
}

/** Tells of the suspects that are true differences. Resolves to the commit up to which changes were replayed. */
async function decide(deps: LiveComparison, suspects: readonly Buffer[], from: number): Promise<number> {
  const { replayed, live, onDifference, flush } = deps;
  let open = suspects;
  let version = from;
  for (let round = 1; round <= ROUNDS_MAX && open.length > 0; round++) {
    const theirs = await live.getMany(open);
    // Not older than what was just read.
    const target = await live.version();
    await flush();
    const brought = await bringOn(deps, { after: version, target, watched: new Set(open.map(keyText)) });
    version = brought.through;
    const ours = await replayed.getMany(open);
    open = open.filter((key, at) => {
      const [journaled, actual] = [ours[at], theirs[at]];
      if (isSame(journaled, actual)) return false;
      // Written while we looked: the two are not of one moment.
      if (brought.written.has(keyText(key))) return true;
      onDifference(key, actual === undefined ? "missing" : journaled === undefined ? "extra" : "other");
      return false;
    });
  }
  return version;
}

/** Replays the changes after a commit, at least up to another; tells which of the watched keys they wrote. */
async function bringOn(
  { replayed, changes, requireRoom, rest, signal }: LiveComparison,
  { after, target, watched }: { readonly after: number; readonly target: number; readonly watched: Set<string> },
): Promise<{ readonly through: number; readonly written: ReadonlySet<string> }> {
  const floor = await replayed.version();
  const written = new Set<string>();
  let through = after;
  while (through < target) {
    signal.throwIfAborted();
    requireRoom();
    const page = await changes.after(through, CATCH_UP_COMMITS, signal);
    if (page.next === through) break;
    const entries = restoredBy(page.changes);
    for (const { key } of entries) if (watched.has(keyText(key))) written.add(keyText(key));
    await replayed.restore(entries, Math.max(page.next, floor));
    through = page.next;
    await rest(0);
  }
  return { through, written };
}

function isSame(one: KvEntry | undefined, other: KvEntry | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.version === other.version && one.value.equals(other.value);
}
