/** The consumers of the catalog's changes that keep their place in the catalog. */
import { cursorsRange, nameOfCursor } from "../keys.ts";
import type { Kv } from "../kv.ts";
import { decodeCursor } from "../records/cursor.ts";

/** Consumers that there can be. */
export const CURSORS_MAX = 100;

export interface NamedCursor {
  readonly name: string;
  /** The last commit that the consumer is done with. */
  readonly version: number;
}

/** @throws CatalogError */
export async function readCursors(kv: Kv): Promise<NamedCursor[]> {
  const entries = await kv.list(cursorsRange(), { limit: CURSORS_MAX });
  return entries.map(({ key, value }) => ({ name: nameOfCursor(key), version: decodeCursor(value).version }));
}

/** The last commit that all consumers are done with; undefined without any. @throws CatalogError */
export async function lowestCursor(kv: Kv): Promise<number | undefined> {
  const versions = (await readCursors(kv)).map(({ version }) => version);
  return versions.length === 0 ? undefined : Math.min(...versions);
}
