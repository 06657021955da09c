import type { ForeignReport } from "./storage-node.ts";

/** Names that a report gives as examples. */
export const FOREIGN_NAMES_MAX = 10;
/** What is more is not counted. */
export const FOREIGN_COUNT_MAX = 1_000;

export const NOTHING_FOREIGN: ForeignReport = { names: [], count: 0, more: false };

/** @param more whether there may be others than these */
export function foreignReport(found: readonly string[], more: boolean): ForeignReport {
  return {
    names: found.slice(0, FOREIGN_NAMES_MAX),
    count: Math.min(found.length, FOREIGN_COUNT_MAX),
    more: more || found.length > FOREIGN_COUNT_MAX,
  };
}
