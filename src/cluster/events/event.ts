/** What happens to nodes and domains, for operators and for the parts that act on it. */

export const EVENT_KINDS = [
  "NODE_ONLINE",
  "NODE_OFFLINE",
  "NODE_DEGRADED",
  "NODE_REPLACED",
  "NODE_REFUSED",
  "NODE_ACCESS_DENIED",
  "NODE_FULL",
  "NODE_SLOW",
  "NODE_CORRUPT",
  "NODE_CAPACITY_CHANGED",
  "NODE_DOMAIN_CHANGED",
  "NODE_ADDED",
  "NODE_REMOVED",
  "NODE_DECOMMISSIONED",
  "DOMAIN_DEGRADED",
  "DOMAIN_RECOVERED",
  "GATEWAY_ISOLATED",
  "GATEWAY_CONNECTED",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** An event as whoever sees it first tells of it. */
export interface NewEvent {
  readonly kind: EventKind;
  /** Name of the node that it is about. */
  readonly node?: string;
  /** Name of the domain that it is about, or that the node is in. */
  readonly domain?: string;
  /** Why, for an operator. */
  readonly cause: string;
}

/** An event on record. */
export interface ClusterEvent extends NewEvent {
  /** Grows by one from event to event, over all gateways. */
  readonly sequence: number;
  /** Wall clock of the gateway that saw it, for display: order is by sequence. */
  readonly atMs: number;
  /** Name of the gateway that saw it. */
  readonly gateway: string;
}

export interface EventLog {
  /** Puts an event on record, soon. Never throws and never waits. */
  record(event: NewEvent): void;
  /**
   * Events in order: those after a sequence, or the newest without one.
   * @param limit 1 to EVENTS_LIST_MAX
   * @throws CatalogError
   */
  list(page: { readonly after?: number; readonly limit: number }): Promise<readonly ClusterEvent[]>;
  /**
   * Tells of every event from now on, in order, each once, those of other gateways as well. Returns how to stop. What a
   * listener throws is logged and keeps nobody from the next event.
   */
  follow(listener: (event: ClusterEvent) => void): () => void;
}

export const EVENTS_LIST_MAX = 1_000;
