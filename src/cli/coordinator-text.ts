import type { CoordinatorState } from "../admin/coordinator-view.ts";

/** `embedded, this gateway leads`, `redis, this gateway does not lead`, `redis, does not answer`. */
export function formatCoordinator({ kind, available, leader }: CoordinatorState): string {
  if (!available) return `${kind}, does not answer: background work pauses`;
  return leader ? `${kind}, this gateway leads` : `${kind}, this gateway does not lead`;
}
