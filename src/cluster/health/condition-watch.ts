/** The conditions of one node, and who is told when they begin and end. */
import type { Clock } from "../../shared/clock.ts";
import { CorruptionWatch, type NodeCondition, SlowJudge } from "./conditions.ts";
import type { DeepFinding } from "./deep-probes.ts";

const REASONS: Readonly<Record<NodeCondition, string>> = {
  suspect: "its circuit breaker is open",
  full: "it has no room for new copies",
  slow: "it is much slower than its peers",
  corrupt: "blocks on it were found bad",
};

/** Conditions that are told of: suspicion comes and goes with every hiccup. */
export type ToldCondition = Exclude<NodeCondition, "suspect">;
const TOLD: readonly ToldCondition[] = ["full", "slow", "corrupt"];

export interface ConditionWatchDeps {
  readonly clock: Clock;
  readonly hasRoom: () => boolean;
  /** Whether it should answer, and does not. */
  readonly suspect: () => boolean;
  /** What its deeper probes found. */
  readonly findings: () => readonly DeepFinding[];
  /** Called when a condition has begun or ended. Must not throw. */
  readonly onChanged: (condition: ToldCondition, begun: boolean, reason: string) => void;
}

export class ConditionWatch {
  readonly #deps: ConditionWatchDeps;
  readonly #slow = new SlowJudge();
  readonly #corruption = new CorruptionWatch();
  #told: ReadonlySet<NodeCondition> = new Set();

  constructor(deps: ConditionWatchDeps) {
    this.#deps = deps;
  }

  /** As they are now. */
  get now(): readonly NodeCondition[] {
    const { clock, hasRoom, suspect, findings } = this.#deps;
    const found = findings().map(({ verdict }) => verdict);
    const corrupt = found.includes("corrupt") || this.#corruption.corrupt(clock.monotonicMs());
    return [
      ...(suspect() ? (["suspect"] as const) : []),
      ...(hasRoom() && !found.includes("full") ? [] : (["full"] as const)),
      ...(this.#slow.slow ? (["slow"] as const) : []),
      ...(corrupt ? (["corrupt"] as const) : []),
    ];
  }

  /** Why it is in the first of its conditions, `undefined` without any. */
  get reason(): string | undefined {
    const [condition] = this.now;
    return condition && this.#reasonOf(condition);
  }

  /** A block on it was found bad. */
  badBlockFound(): void {
    this.#corruption.found(this.#deps.clock.monotonicMs());
    this.tell();
  }

  /** One look at an interval. See SlowJudge. */
  judge(latencyMs: number | undefined, peersMs: readonly number[]): void {
    this.#slow.judge(latencyMs, peersMs);
    this.tell();
  }

  /** Tells what has begun or ended since the last time. */
  tell(): void {
    const now = new Set(this.now);
    const before = this.#told;
    this.#told = now;
    for (const condition of TOLD) {
      const begun = now.has(condition);
      if (begun !== before.has(condition)) this.#deps.onChanged(condition, begun, this.#reasonOf(condition));
    }
  }

  #reasonOf(condition: NodeCondition): string {
    const found = this.#deps.findings().find(({ verdict }) => verdict === condition);
    return found?.reason ?? REASONS[condition];
  }
}
