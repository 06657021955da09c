/** The nodes as one gateway process of the simulation calls them: the network behind the product's wrappers. */

import type { NodeHandle } from "../../src/cluster/membership.ts";
import type { NodeRecord } from "../../src/cluster/topology-records.ts";
import type { StorageNode } from "../../src/nodes/storage-node.ts";
import { wrapNode } from "../../src/nodes/wrap.ts";
import { BREAKER_LIMITS, type NodeLimits, RETRY_LIMITS } from "../../src/nodes/wrappers/limits.ts";
import { usedShare } from "../../src/nodes/wrappers/room-watch.ts";
import { loadScore } from "../../src/placement/score.ts";
import type { Clock } from "../../src/shared/clock.ts";
import type { Id } from "../../src/shared/ids.ts";
import type { Random } from "../../src/shared/random.ts";

const CAPACITY_CACHE_MS = 10_000;

const NODE_LIMITS: NodeLimits = {
  timeout: {
    reachMs: 1_000,
    admissionMs: 3_000,
    metadataMs: 2_000,
    listMs: 2_000,
    firstByteMs: 1_300,
    readStallMs: 1_300,
    putStallMs: 1_500,
    putBlockMs: 100,
    finishMs: 2_000,
  },
  retry: RETRY_LIMITS,
  concurrency: { inflightMax: 32, waitingMax: 256, waitMs: 1_000 },
  breaker: BREAKER_LIMITS,
};

/** A handle that tells how busy its node is. */
export interface SimHandle extends NodeHandle {
  load(): { readonly inflight: number; readonly waiting: number };
}

export interface SimHandlesDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** The driver of a node by its name; `undefined` where there is no such machine. */
  readonly driver: (name: string) => StorageNode | undefined;
  /** Told the uuids of the nodes by name before any of them is called. */
  readonly onOpened: (uuids: ReadonlyMap<string, Id>) => void;
}

export class SimHandles {
  readonly #deps: SimHandlesDeps;
  readonly #open = new Map<Id, SimHandle>();

  constructor(deps: SimHandlesDeps) {
    this.#deps = deps;
  }

  get open(): ReadonlyMap<Id, SimHandle> {
    return new Map(this.#open);
  }

  get(uuid: Id): SimHandle | undefined {
    return this.#open.get(uuid);
  }

  /** The handles of the nodes in use, opened where they are new. */
  of(records: ReadonlyMap<Id, NodeRecord>): ReadonlyMap<Id, SimHandle> {
    for (const uuid of this.#open.keys()) if (!isInUse(records.get(uuid))) this.#open.delete(uuid);
    const opened = new Map<string, Id>();
    for (const record of records.values()) {
      if (!isInUse(record) || this.#open.has(record.uuid)) continue;
      const driver = this.#deps.driver(record.name);
      if (driver === undefined) continue;
      this.#open.set(record.uuid, openHandle(driver, this.#deps));
      opened.set(record.name, record.uuid);
    }
    this.#deps.onOpened(opened);
    return this.open;
  }
}

function isInUse(record: NodeRecord | undefined): boolean {
  return record !== undefined && record.configured && record.leaving !== true;
}

function openHandle(driver: StorageNode, { clock, random }: SimHandlesDeps): SimHandle {
  const wrapped = wrapNode(driver, {
    clock,
    random,
    limits: NODE_LIMITS,
    observer: { started() {}, finished() {} },
    capacityCacheMs: CAPACITY_CACHE_MS,
  });
  return {
    node: wrapped.node,
    available: () => wrapped.available(),
    hasRoom: () => wrapped.hasRoom(),
    load: () => wrapped.load(),
    signs: () => wrapped.signs(),
    onUnavailable: (listener) => wrapped.onUnavailable(() => listener()),
    loadScore() {
      const capacity = wrapped.lastCapacity();
      return loadScore({ ...wrapped.load(), diskUsage: capacity && usedShare(capacity) });
    },
  };
}
