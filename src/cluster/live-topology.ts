/**
 * Follows the topology in the catalog: whatever changed it, an operator, a promotion or another gateway, the members of
 * this process become what it says within an interval.
 */
import { topologyKey } from "../catalog/keys.ts";
import type { Kv } from "../catalog/kv.ts";
import type { Logger } from "../observability/logger.ts";
import type { Placement } from "../placement/placement.ts";
import type { Topology } from "../placement/topology.ts";
import type { Clock, Timer } from "../shared/clock.ts";
import type { Id } from "../shared/ids.ts";
import type { Membership, NodeHandle } from "./membership.ts";
import type { NodeRecord } from "./topology-records.ts";
import { loadTopology, type StoredTopology } from "./topology-store.ts";

export interface LiveTopologyDeps {
  readonly kv: Kv;
  readonly membership: Pick<Membership, "members" | "update">;
  readonly placementOf: (topology: Topology) => Placement;
  /** Handles of the nodes that this process can call: those that were open stay the same. */
  readonly handlesOf: (
    records: ReadonlyMap<Id, NodeRecord>,
  ) => ReadonlyMap<Id, NodeHandle> | Promise<ReadonlyMap<Id, NodeHandle>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** What the members are made of at first. */
  readonly initial?: StoredTopology;
  /** Told of every change that this process comes to go by: what it went by before, and what now. Must not throw. */
  readonly onChanged?: (before: StoredTopology | undefined, after: StoredTopology) => void;
}

export class LiveTopology implements AsyncDisposable {
  readonly #deps: LiveTopologyDeps;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  #stored: StoredTopology | undefined;
  /** The handles are to be asked for, whatever the epoch. */
  #reopen = false;

  constructor(deps: LiveTopologyDeps) {
    this.#deps = deps;
    this.#stored = deps.initial;
  }

  start(): void {
    if (this.#stopped) return;
    const { clock, intervalMs, logger } = this.#deps;
    this.#timer = clock.startTimer(intervalMs, () => {
      this.refresh()
        .catch((error: unknown) => logger.warn({ err: error }, "the topology could not be read"))
        .finally(() => this.start());
    });
  }

  /**
   * Resolves when the members are what the catalog said when it was called, or later.
   * @param reopen also where the topology is the same: how a node is reached has changed
   * @throws CatalogError; RecordError
   */
  async refresh(reopen = false): Promise<void> {
    this.#reopen ||= reopen;
    // One that runs may have read before the change that the caller made.
    await this.#running?.catch(() => {});
    this.#running ??= this.#refresh().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.stop();
    await this.#running?.catch(() => {});
  }

  async #refresh(): Promise<void> {
    const { kv, membership, logger, onChanged } = this.#deps;
    const before = membership.members.topology;
    const reopen = this.#reopen;
    const entry = await kv.get(topologyKey());
    if (entry === undefined) return;
    const stored = await loadTopology(kv);
    if (stored === undefined) return;
    const { epoch } = stored.topology;
    if (epoch < before.epoch || (epoch === before.epoch && !reopen)) return;
    const shape = await this.#shapeOf(stored);
    if (this.#stopped) return;
    this.#reopen &&= !reopen;
    membership.update(shape);
    if (epoch === before.epoch) return;
    logger.info({ epoch, before: before.epoch }, "the topology has changed");
    const wentBy = this.#stored;
    this.#stored = stored;
    onChanged?.(wentBy, stored);
  }

  async #shapeOf({ topology, records }: StoredTopology): Promise<Parameters<Membership["update"]>[0]> {
    const admitted = [...records.values()].flatMap(({ uuid, admitted: is }) => (is ? [uuid] : []));
    const handles = await this.#deps.handlesOf(records);
    return { topology, placement: this.#deps.placementOf(topology), handles, admitted: new Set(admitted) };
  }
}
