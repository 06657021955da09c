/**
 * Every node's wrappers, in their one order. From the outside in:
 *
 * 1. metrics: sees what the caller sees;
 * 2. timeout: bounds all that lies within, waits and retries included;
 * 3. retry: a call that waits to be made again holds no turn meanwhile;
 * 4. concurrency limit: a call that waited asks the breaker when its turn comes, not before;
 * 5. circuit breaker: hears of what the node itself did, call by call, and of none that never reached it;
 * 6. the driver.
 */
import type { Clock } from "../shared/clock.ts";
import type { Random } from "../shared/random.ts";
import type { NodeFigures } from "./node-figures.ts";
import type { Capacity, StorageNode } from "./storage-node.ts";
import { BreakerNode } from "./wrappers/breaker-node.ts";
import { type BreakerChange, CircuitBreaker } from "./wrappers/circuit-breaker.ts";
import { Deadlines } from "./wrappers/deadlines.ts";
import { FiguresWatch } from "./wrappers/figures-watch.ts";
import { LimitedNode } from "./wrappers/limited-node.ts";
import { type NodeLimits, TICK_MS } from "./wrappers/limits.ts";
import { LiveSigns, type NodeSigns } from "./wrappers/live-signs.ts";
import { MetricsNode, type NodeObserver } from "./wrappers/metrics-node.ts";
import { RetryNode } from "./wrappers/retry-node.ts";
import { RoomWatch } from "./wrappers/room-watch.ts";
import { TimeoutNode } from "./wrappers/timeout-node.ts";

export interface WrapDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: NodeLimits;
  readonly observer: NodeObserver;
  /** How long an answer of `capacity`, or of `figures.read`, is good for. */
  readonly capacityCacheMs: number;
  /** What the node is asked for in place of its capacity alone. */
  readonly figures?: FiguresSource;
}

/** Where the figures of a node come from. */
export interface FiguresSource {
  /** Has to settle in bounded time. @param node with its wrappers */
  read(node: StorageNode): Promise<NodeFigures>;
  /** From 0 to 1: by how much sooner than at the end of the cache period they are read again. */
  jitter(): number;
  /** Whether the node can be asked yet. */
  ready(): boolean;
}

/** A node with what its wrappers know of it. */
export interface WrappedNode {
  readonly node: StorageNode;
  /** False while its circuit breaker keeps calls away. */
  available(): boolean;
  /** Called when its circuit breaker opens. Must not throw. */
  onUnavailable(listener: (change: BreakerChange) => void): void;
  /** Called with every change of its circuit breaker. Must not throw. */
  onBreakerChange(listener: (change: BreakerChange) => void): void;
  /** False for a while after it answered that it is full or takes no writes, and while it is known to be nearly full. */
  hasRoom(): boolean;
  /** Calls that the node works on, and calls that wait for their turn. */
  load(): { readonly inflight: number; readonly waiting: number };
  /** What it last told of its capacity; `undefined` while unknown. Never waits. */
  lastCapacity(): Capacity | undefined;
  /** What it tells of itself, read behind the callers' backs. */
  readonly figures: FiguresWatch;
  /** What live traffic shows of it. */
  signs(): NodeSigns;
}

export function wrapNode(driver: StorageNode, deps: WrapDeps): WrappedNode {
  const { clock, random, limits, observer, capacityCacheMs: cacheMs, figures: source = CAPACITY } = deps;
  const deadlines = new Deadlines(clock, TICK_MS);
  const breaker = new CircuitBreaker(clock, limits.breaker);
  const available = (): boolean => breaker.state === "closed";
  const signs = new LiveSigns(clock);
  const roomObserver: NodeObserver = {
    started: (operation) => observer.started(operation),
    finished(operation, outcome, durationMs, bytes) {
      if (outcome === "ok") signs.succeeded(operation, durationMs, bytes);
      if (operation === "put" && (outcome === "full" || outcome === "read-only")) room.refused();
      observer.finished(operation, outcome, durationMs, bytes);
    },
  };

  const limited = new LimitedNode(new BreakerNode(driver, breaker), deadlines, limits.concurrency);
  const retried = new RetryNode(limited, { clock, random, limits: limits.retry });
  const timed = new TimeoutNode(retried, deadlines, limits.timeout);
  const node = new MetricsNode(timed, roomObserver, clock);

  const figures = new FiguresWatch({
    read: () => source.read(node),
    jitter: () => source.jitter(),
    available: () => source.ready() && available(),
    clock,
    cacheMs,
  });
  const room = new RoomWatch({ figures, clock });
  return {
    node,
    available,
    onBreakerChange: (listener) => breaker.onChange(listener),
    onUnavailable: (listener) =>
      breaker.onChange((change) => {
        if (change.state === "open") listener(change);
      }),
    hasRoom: () => room.hasRoom(),
    load: () => limited.load(),
    lastCapacity: () => figures.last().capacity,
    figures,
    signs: () => signs.signs(),
  };
}

const CAPACITY: FiguresSource = {
  async read(node) {
    const capacity = await node.capacity();
    return capacity === undefined ? {} : { capacity };
  },
  jitter: () => 0,
  ready: () => true,
};
