import { walkPages } from "../catalog.ts";
import { WHOLE_CATALOG } from "../keys.ts";
import type { Kv, KvEntry } from "../kv.ts";
import { isLocal } from "../kv-atomic.ts";

const PAGE_ENTRIES = 1_000;

/** An entry that two stores do not have alike. */
export interface Difference {
  readonly key: Buffer;
  readonly left: KvEntry | undefined;
  readonly right: KvEntry | undefined;
}

/**
 * What two stores hold differently, in key order; local entries aside. Each is read a page at a time.
 * @param onPage waited for after each page, told of its entries: a store that answers at once would leave no room for
 *   anything else
 */
export async function* differences(
  left: Kv,
  right: Kv,
  onPage: (entries: number) => Promise<void> = async () => {},
): AsyncGenerator<Difference, void, undefined> {
  const [lefts, rights] = [entriesOf(left, onPage), entriesOf(right, onPage)];
  let [l, r] = [await lefts.next(), await rights.next()];
  while (!l.done || !r.done) {
    const order = l.done ? 1 : r.done ? -1 : Buffer.compare(l.value.key, r.value.key);
    const [a, b] = [order <= 0 && !l.done ? l.value : undefined, order >= 0 && !r.done ? r.value : undefined];
    if (a === undefined || b === undefined || a.version !== b.version || !a.value.equals(b.value)) {
      yield { key: (a ?? b)?.key ?? Buffer.alloc(0), left: a, right: b };
    }
    if (order <= 0) l = await lefts.next();
    if (order >= 0) r = await rights.next();
  }
}

async function* entriesOf(
  kv: Kv,
  onPage: (entries: number) => Promise<void>,
): AsyncGenerator<KvEntry, void, undefined> {
  for await (const page of walkPages(kv, WHOLE_CATALOG, PAGE_ENTRIES)) {
    await onPage(page.length);
    for (const entry of page) if (!isLocal(entry.key)) yield entry;
  }
}
