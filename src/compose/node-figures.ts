/** Where the figures of a node come from, what is said of them, and how busy they make it. */

import { CapacityAnnouncer, type CapacityChange } from "../nodes/capacity-change.ts";
import type { CapacitySource, NodeFigures, NodeFiguresView } from "../nodes/node-figures.ts";
import { reasonOf } from "../nodes/s3/s3-failure.ts";
import type { NodeError, NodeErrorKind, StorageNode } from "../nodes/storage-node.ts";
import type { LocalDisk } from "../nodes/volume/local-disk.ts";
import type { WrappedNode } from "../nodes/wrap.ts";
import { usedShare } from "../nodes/wrappers/room-watch.ts";
import type { Logger } from "../observability/logger.ts";
import { busier, loadScore } from "../placement/score.ts";

/** The figures of a volume: its own capacity, and its disk. @throws NodeError */
export async function readVolumeFigures(node: StorageNode, disk: LocalDisk): Promise<NodeFigures> {
  const [capacity, found] = await Promise.all([node.capacity(), disk.figures()]);
  return capacity === undefined ? found : { ...found, capacity };
}

export interface FiguresDeps {
  readonly name: string;
  readonly source: CapacitySource;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** Called for every scrape that failed. */
  readonly scrapeFailed: () => void;
}

/** What a handle shows of its node's figures. */
export interface HandleFigures {
  /** See placement/score.ts. */
  loadScore(): number;
  /** For operators and metrics. */
  figures(): NodeFiguresView;
  /**
   * Called when the capacity changed by 10 % or more since the last call, or since it was first told. The listener must
   * not throw. @returns how to stop listening
   */
  onCapacityChanged(listener: (change: CapacityChange) => void): () => void;
}

/** @param wrapped whose figures are listened to from now on */
export function handleFigures(wrapped: WrappedNode, deps: FiguresDeps): HandleFigures {
  const { name, source, logger } = deps;
  const announcer = new CapacityAnnouncer();
  const report = new ScrapeReport(deps);
  announcer.onChanged(({ before, now }) => logger.info({ node: name, before, now }, "a node's capacity changed"));
  wrapped.figures.onReading({
    read({ capacity }) {
      report.succeeded();
      announcer.saw(capacity);
    },
    failed: (error) => report.failed(error),
  });
  const load = (figures: NodeFigures): { readonly inflight: number; readonly waiting: number } => {
    const own = wrapped.load();
    return { inflight: busier(own.inflight, figures.inflight), waiting: busier(own.waiting, figures.waiting) };
  };
  return {
    loadScore() {
      const figures = wrapped.figures.last();
      return loadScore({ ...load(figures), diskUsage: figures.capacity && usedShare(figures.capacity) });
    },
    figures() {
      const figures = wrapped.figures.last();
      const { readAtMs, error } = wrapped.figures.state();
      return {
        figures,
        source,
        ...load(figures),
        ...(readAtMs === undefined ? {} : { readAtMs }),
        ...(error === undefined ? {} : { error: reasonOf(error) }),
      };
    },
    onCapacityChanged: (listener) => announcer.onChanged(listener),
  };
}

/** Says once that a server's metrics cannot be read, and once that they can again. */
class ScrapeReport {
  readonly #deps: FiguresDeps;
  #said: NodeErrorKind | undefined;

  constructor(deps: FiguresDeps) {
    this.#deps = deps;
  }

  failed(error: NodeError): void {
    const { name, source, logger, scrapeFailed } = this.#deps;
    // Of a volume, its health has more to say.
    if (source !== "scraped") return;
    scrapeFailed();
    if (this.#said === error.kind) return;
    this.#said = error.kind;
    const facts = { node: name, kind: error.kind, reason: reasonOf(error) };
    logger.warn(facts, "a node's metrics cannot be read; what it has free and how busy it is are not known");
  }

  succeeded(): void {
    if (this.#said === undefined) return;
    this.#said = undefined;
    this.#deps.logger.info({ node: this.#deps.name }, "a node's metrics are read again");
  }
}
