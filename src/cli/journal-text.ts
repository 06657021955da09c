import type { JournalAnswer } from "../admin/catalog-types.ts";

/** `sync, up to date`, `async, behind 0.4 s`, `sync, cannot be written: ...`. */
export function formatJournal({
  mode,
  lag_ms,
  lag_commits,
  failure,
}: Pick<JournalAnswer, "mode" | "lag_ms" | "lag_commits" | "failure">): string {
  if (failure !== null) return `${mode}, cannot be written: ${failure}`;
  return lag_commits === 0 ? `${mode}, up to date` : `${mode}, behind ${(lag_ms / 1000).toFixed(1)} s`;
}
