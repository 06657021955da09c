/** The scrub and the comparison of every node, each at its own pace: none waits for another's node. */
import type { Members } from "../../cluster/members.ts";
import { NodeError } from "../../nodes/storage-node.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { Worker, type WorkerOptions } from "../worker.ts";
import type { ComparisonPass, ComparisonState } from "./comparison-state.ts";
import type { ScrubLimits, ScrubRates } from "./copy-scrubber.ts";
import { type ComparisonLimits, NodeComparison, type NodeComparisonDeps } from "./node-comparison.ts";
import { NodeScrubber, type NodeScrubberDeps } from "./node-scrubber.ts";
import type { ScrubState } from "./scrub-state.ts";

/** How often it is looked whether a node's pass is due, or goes on. */
const LOOK_INTERVAL_MS = 60_000;
/** A gateway that starts has better things to do. */
const START_DELAY_MS = 30_000;
/** How often it is looked whether a comparison that somebody waits for has ended. */
const COMPARISON_POLL_MS = 200;

export interface ScrubbingDeps
  extends Omit<NodeScrubberDeps, "limits">,
    Omit<NodeComparisonDeps, "limits" | "observer"> {
  readonly scrub: ScrubLimits;
  readonly comparison: ComparisonLimits;
  /** Leaves runs out while another gateway does the background work; by default none. */
  readonly whileLeading?: (run: WorkerOptions["run"]) => WorkerOptions["run"];
}

export interface NodeScrubReport {
  readonly nodeUuid: Id;
  readonly node: string;
  readonly scrub: ScrubState;
  /** A pass was asked for and has not begun. */
  readonly requested: boolean;
  /** When the next pass begins by itself, on the wall clock. */
  readonly nextAtMs: number | undefined;
  readonly comparison: ComparisonState;
}

interface NodeWork {
  readonly uuid: Id;
  readonly name: string;
  readonly scrubber: NodeScrubber;
  readonly comparison: NodeComparison;
  readonly workers: readonly Worker[];
}

export class Scrubbing implements AsyncDisposable {
  readonly #deps: ScrubbingDeps;
  #nodes: ReadonlyMap<Id, NodeWork> = new Map();
  readonly #stopListening: () => void;
  readonly #clock: Clock;
  readonly #members: () => Members;
  #started = false;
  #limits: ScrubLimits;
  /** Work of nodes that left and has still to end. */
  readonly #ending = new Set<Promise<unknown>>();

  /** For the nodes that are members, as they come and go. */
  constructor(deps: ScrubbingDeps) {
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#members = deps.members;
    this.#limits = deps.scrub;
    this.follow();
    this.#stopListening = deps.members().onOnline((uuid) => {
      this.follow();
      this.#wake(uuid);
    });
  }

  start(): void {
    this.#started = true;
    for (const node of this.#nodes.values()) startWork(node);
  }

  /** Begins with the nodes that are new among the members, and ends with those that left. */
  follow(): void {
    const before = this.#nodes;
    const members = this.#members().all();
    this.#nodes = new Map(
      members.map(({ spec: { uuid, name } }) => [uuid, before.get(uuid) ?? this.#begin(uuid, name)]),
    );
    for (const [uuid, node] of before) if (!this.#nodes.has(uuid)) this.#end(node);
  }

  /**
   * Has a node, or all of them, compared with the catalog and read whole, at once or as soon as it can be asked.
   * @returns whether there is such a node
   */
  request(name?: string): boolean {
    this.follow();
    const asked = [...this.#nodes.values()].filter((node) => name === undefined || node.name === name);
    for (const { uuid, scrubber, comparison } of asked) {
      comparison.request();
      scrubber.request();
      this.#wake(uuid);
    }
    return name === undefined || asked.length > 0;
  }

  /** How fast every node may be read from now on. */
  setRates(rates: ScrubRates): void {
    this.#limits = { ...this.#limits, ...rates };
    for (const { scrubber } of this.#nodes.values()) scrubber.setRates(rates);
  }

  /** Gives up the pass over a node that was asked for. What begins by itself goes on as ever. */
  cancel(nodeUuid: Id): void {
    this.#nodes.get(nodeUuid)?.scrubber.cancel();
    this.#wake(nodeUuid);
  }

  /** Has a node compared with the catalog as soon as it can be. */
  requestComparison(nodeUuid: Id): void {
    this.follow();
    this.#nodes.get(nodeUuid)?.comparison.request();
    this.#wake(nodeUuid);
  }

  /**
   * Compares a node with the catalog now, and tells what that came to.
   * @throws NodeError where it cannot be asked
   */
  async compare(nodeUuid: Id, signal: AbortSignal): Promise<Omit<ComparisonPass, "startedAtMs">> {
    this.follow();
    const node = this.#nodes.get(nodeUuid);
    if (node === undefined) throw new NodeError("unreachable", "the node is no member");
    const askedAtMs = this.#clock.nowMs();
    const before = (await node.comparison.state()).last?.endedAtMs;
    node.comparison.request();
    this.#wake(nodeUuid);
    for (;;) {
      const { last } = await node.comparison.state();
      // The clock may have been set back meanwhile.
      if (last !== undefined && (last.endedAtMs >= askedAtMs || last.endedAtMs !== before)) return last;
      if (!this.#members().servesReads(nodeUuid)) throw new NodeError("unreachable", "the node cannot be asked now");
      await sleep(this.#clock, COMPARISON_POLL_MS, signal);
    }
  }

  /** In the order of the topology. @throws CatalogError, RecordError */
  report(): Promise<NodeScrubReport[]> {
    this.follow();
    return Promise.all(
      [...this.#nodes.values()].map(async ({ uuid, name, scrubber, comparison }) => {
        const scrub = await scrubber.state();
        return {
          nodeUuid: uuid,
          node: name,
          scrub,
          requested: scrubber.requested,
          nextAtMs: scrubber.nextAtMs(scrub),
          comparison: await comparison.state(),
        };
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    for (const node of this.#nodes.values()) this.#end(node);
    this.#nodes = new Map();
    await Promise.all(this.#ending);
  }

  #begin(uuid: Id, name: string): NodeWork {
    const { scrub: _scrub, comparison: compared, whileLeading = (run) => run, ...deps } = this.#deps;
    const { clock, logger } = deps;
    const scrubber = new NodeScrubber({ ...deps, limits: this.#limits }, { uuid, name });
    const comparison = new NodeComparison({ ...deps, limits: compared }, { uuid, name });
    const worker = (what: string, run: (signal: AbortSignal) => Promise<void>): Worker =>
      new Worker({ name: `${what} ${name}`, intervalMs: LOOK_INTERVAL_MS, clock, logger, run: whileLeading(run) });
    const workers = [
      worker("comparison", (signal) => comparison.run(signal)),
      worker("scrub", (signal) => scrubber.run(signal)),
    ];
    const node = { uuid, name, scrubber, comparison, workers };
    if (this.#started) startWork(node);
    return node;
  }

  #end({ workers }: NodeWork): void {
    const ending = Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]())).finally(() =>
      this.#ending.delete(ending),
    );
    this.#ending.add(ending);
  }

  #wake(uuid: Id): void {
    for (const worker of this.#nodes.get(uuid)?.workers ?? []) worker.wake();
  }
}

function startWork({ workers }: NodeWork): void {
  for (const worker of workers) worker.start(START_DELAY_MS);
}
