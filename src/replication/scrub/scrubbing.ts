/** The scrub and the comparison of every node, each at its own pace: none waits for another's node. */
import type { Members } from "../../cluster/members.ts";
import { NodeError } from "../../nodes/storage-node.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { Worker } from "../worker.ts";
import type { ComparisonPass, ComparisonState } from "./comparison-state.ts";
import type { ScrubLimits } from "./copy-scrubber.ts";
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
  readonly #nodes: readonly NodeWork[];
  readonly #stopListening: () => void;
  readonly #clock: Clock;
  readonly #members: () => Members;

  /** For the nodes that are members now. */
  constructor({ scrub, comparison, ...deps }: ScrubbingDeps) {
    const { members, clock, logger } = deps;
    this.#clock = clock;
    this.#members = members;
    this.#nodes = members()
      .all()
      .map(({ spec: { uuid, name } }) => {
        const work = {
          scrubber: new NodeScrubber({ ...deps, limits: scrub }, { uuid, name }),
          comparison: new NodeComparison({ ...deps, limits: comparison }, { uuid, name }),
        };
        const worker = (what: string, run: (signal: AbortSignal) => Promise<void>): Worker =>
          new Worker({ name: `${what} ${name}`, intervalMs: LOOK_INTERVAL_MS, clock, logger, run });
        const workers = [
          worker("comparison", (signal) => work.comparison.run(signal)),
          worker("scrub", (signal) => work.scrubber.run(signal)),
        ];
        return { uuid, name, ...work, workers };
      });
    this.#stopListening = members().onOnline((uuid) => this.#wake(uuid));
  }

  start(): void {
    for (const { workers } of this.#nodes) for (const worker of workers) worker.start(START_DELAY_MS);
  }

  /**
   * Has a node, or all of them, compared with the catalog and read whole, at once or as soon as it can be asked.
   * @returns whether there is such a node
   */
  request(name?: string): boolean {
    const asked = this.#nodes.filter((node) => name === undefined || node.name === name);
    for (const { uuid, scrubber, comparison } of asked) {
      comparison.request();
      scrubber.request();
      this.#wake(uuid);
    }
    return name === undefined || asked.length > 0;
  }

  /** Has a node compared with the catalog as soon as it can be. */
  requestComparison(nodeUuid: Id): void {
    for (const { uuid, comparison } of this.#nodes) if (uuid === nodeUuid) comparison.request();
    this.#wake(nodeUuid);
  }

  /**
   * Compares a node with the catalog now, and tells what that came to.
   * @throws NodeError where it cannot be asked
   */
  async compare(nodeUuid: Id, signal: AbortSignal): Promise<Omit<ComparisonPass, "startedAtMs">> {
    const node = this.#nodes.find(({ uuid }) => uuid === nodeUuid);
    if (node === undefined) throw new NodeError("unreachable", "the node is no member");
    const askedAtMs = this.#clock.nowMs();
    node.comparison.request();
    this.#wake(nodeUuid);
    for (;;) {
      const { last } = await node.comparison.state();
      if (last !== undefined && last.endedAtMs >= askedAtMs) return last;
      if (!this.#members().servesReads(nodeUuid)) throw new NodeError("unreachable", "the node cannot be asked now");
      await sleep(this.#clock, COMPARISON_POLL_MS, signal);
    }
  }

  /** In the order of the topology. @throws CatalogError, RecordError */
  report(): Promise<NodeScrubReport[]> {
    return Promise.all(
      this.#nodes.map(async ({ uuid, name, scrubber, comparison }) => {
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
    await Promise.all(this.#nodes.flatMap(({ workers }) => workers.map((worker) => worker[Symbol.asyncDispose]())));
  }

  #wake(uuid: Id): void {
    for (const { workers } of this.#nodes.filter((node) => node.uuid === uuid)) {
      for (const worker of workers) worker.wake();
    }
  }
}
