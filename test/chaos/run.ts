/**
 * The fault run: clients on a gateway over real servers while faults come and go, each drawn from the seed. At the end all
 * is mended, everything is read, and what the clients saw is checked.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { History } from "../simulation/history.ts";
import type { Content } from "../support/ledger.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { type Answers, type ClientOptions, readEverything, runClient } from "./clients.ts";
import { scrubAll, untilOnline, untilWhole } from "./condition.ts";
import { inject, type Mend } from "./faults.ts";
import { JobFaults } from "./job-faults.ts";
import { requireNothingUnnamed, requireRedundancy } from "./last-checks.ts";
import { LOSING, nameOf, type Shape, type Step, schedule, told } from "./schedule.ts";
import { type Site, startSite } from "./site.ts";

const CLIENTS = 8;
const VIOLATIONS_MAX = 20;
/** What was refused in calm waters: a moment is left to a gateway for noticing that a node is back. */
const CALM_AFTER_MS = 3_000;

export interface FaultRun {
  readonly seed: number;
  readonly minutes: number;
  /** Only faults whose names it fits. */
  readonly only?: RegExp | undefined;
  readonly log: (line: string) => void;
}

export interface FaultRunResult {
  readonly operations: number;
  readonly refused: number;
  /** How often each was injected. */
  readonly faults: ReadonlyMap<string, number>;
  /** How jobs ended, by kind and state. */
  readonly jobs: ReadonlyMap<string, number>;
  /** What this machine does not allow, and why. */
  readonly leftOut: readonly string[];
  readonly violations: readonly string[];
}

export async function runFaults(options: FaultRun): Promise<FaultRunResult | { readonly skip: string }> {
  const { seed, log } = options;
  const chance = seeded(seed + 1);
  const site = await startSite(() => chance.next());
  if ("skip" in site) return site;
  await using _ = site;
  for (const what of site.leftOut) log(`left out: ${what}`);
  return await new Run(site, options).run();
}

/** What of the schedule there is on a site. */
function shapeOf({ nodes, domains, network, redis }: Site, only: RegExp | undefined): Shape {
  return {
    nodes: nodes.length,
    domains: domains.length,
    activeNodes: nodes.filter(({ domain }) => domains.includes(domain)).length,
    has: (name) => {
      if (network === undefined && name === "loss") return false;
      if (redis === undefined && /^(redis|lease) /.test(name)) return false;
      return only === undefined || only.test(name);
    },
  };
}

class Run {
  readonly #site: Site;
  readonly #options: FaultRun;
  readonly #violations: string[] = [];
  readonly #faults = new Map<string, number>();
  readonly #answers: Answers = { ok: 0, refused: 0 };
  readonly #history = new History((what) => this.#violation(what));
  readonly #contents = new Map<string, Content>();
  readonly #jobs: JobFaults;
  readonly #startedAtMs = performance.now();
  #stopped = false;
  /** Since when nothing is wrong; `undefined` while something is. */
  #calmSinceMs: number | undefined;
  /** Since when no node takes writes; `undefined` while one does. */
  #noWritesSinceMs: number | undefined;

  /** The gateway's clock jumped since all was well. */
  #mayBeSkewed = false;

  constructor(site: Site, options: FaultRun) {
    this.#site = site;
    this.#options = options;
    this.#jobs = new JobFaults({
      site,
      log: (line) => this.#log(line),
      violation: (what) => this.#violation(what),
    });
  }

  async run(): Promise<FaultRunResult> {
    using client = strictClientOf(this.#site.gateway);
    const options = (number: number): ClientOptions => this.#clientOptions(client, number);
    this.#calmSinceMs = performance.now();
    const clients = Array.from({ length: CLIENTS }, (_, number) => runClient(options(number)));
    try {
      await this.#injectFaults();
    } catch (error) {
      this.#violation(`the run could not go on: ${String(error)}: ${String((error as Error).cause)}`);
    } finally {
      this.#stopped = true;
      await Promise.all(clients);
    }
    await this.#lastChecks(options(CLIENTS));
    const operations = this.#answers.ok + this.#answers.refused;
    return {
      operations,
      refused: this.#answers.refused,
      faults: this.#faults,
      jobs: this.#jobs.ended,
      leftOut: this.#site.leftOut,
      violations: this.#violations,
    };
  }

  #clientOptions(client: ClientOptions["client"], number: number): ClientOptions {
    return {
      ...{ client, number, history: this.#history, contents: this.#contents, answers: this.#answers },
      seed: this.#options.seed,
      stopped: () => this.#stopped || this.#violations.length > VIOLATIONS_MAX,
      violation: (what) => this.#violation(what),
      mayBeSkewed: () => this.#mayBeSkewed,
      stored: (label, begunAtMs) => {
        if (this.#noWritesSinceMs === undefined || begunAtMs < this.#noWritesSinceMs) return;
        this.#violation(`${label} was acknowledged while no node took writes (I2)`);
      },
      refused: (label, error, begunAtMs) => {
        if (this.#calmSinceMs === undefined || begunAtMs < this.#calmSinceMs + CALM_AFTER_MS) return;
        this.#violation(`${label} was refused while nothing was wrong: ${String(error)}`);
      },
    };
  }

  async #lastChecks(options: ClientOptions): Promise<void> {
    const violation = (what: string): void => this.#violation(what);
    const checks: readonly [what: string, check: () => Promise<void>][] = [
      ["what jobs came to", () => this.#jobs.settleAll()],
      ["redundancy", () => requireRedundancy(this.#site, violation)],
      ["the last reading", () => readEverything(options)],
      ["the last drains", () => this.#drainOneOfEach()],
      ["unnamed copies", () => requireNothingUnnamed(this.#site, violation)],
      ["the reading after all was reclaimed", () => readEverything(options)],
    ];
    for (const [what, check] of checks) {
      this.#log(`checks ${what}`);
      await check().catch((error: unknown) => {
        this.#violation(`${what}: ${String(error)}: ${String((error as Error).cause)}`);
      });
    }
    this.#history.check();
  }

  /** With nobody in the way every drain is done, and leaves nothing. */
  async #drainOneOfEach(): Promise<void> {
    const { nodes, domains } = this.#site;
    const first = domains.flatMap((domain) => nodes.find((node) => node.domain === domain) ?? []);
    await Promise.all(first.map((node) => this.#jobs.drainAndReturn(node)));
  }

  async #injectFaults(): Promise<void> {
    const endMs = this.#startedAtMs + this.#options.minutes * 60_000;
    // What a fault leaves to chance is drawn apart: how much that is depends on what it finds.
    const choices = seeded(this.#options.seed + 2);
    for (const step of schedule(seeded(this.#options.seed), shapeOf(this.#site, this.#options.only))) {
      if (performance.now() >= endMs || this.#violations.length > 0) return;
      await this.#take(step, choices);
    }
  }

  async #take({ calmMs, lastsMs, faults }: Step, choices: Seeded): Promise<void> {
    const { gateway } = this.#site;
    const losing = faults.some(({ kind }) => LOSING.has(kind));
    await untilOnline(gateway);
    this.#calmSinceMs ??= performance.now();
    this.#mayBeSkewed = faults.some(({ kind }) => kind === "clock");
    // What is lost for good is lost only where the other copies are all there.
    if (losing) await untilWhole(gateway, "all copies are where they belong before some are lost");
    await sleep(calmMs);
    this.#log(faults.map(told).join(", and "));
    this.#calmSinceMs = undefined;
    const context = { site: this.#site, jobs: this.#jobs, choices, expectNoWrites: () => this.#expectNoWrites() };
    const mends: Mend[] = [];
    try {
      for (const fault of faults) {
        mends.push(await inject(context, fault));
        const name = nameOf(fault);
        this.#faults.set(name, (this.#faults.get(name) ?? 0) + 1);
      }
      await sleep(lastsMs);
    } finally {
      for (const mend of mends.reverse()) {
        await mend().catch((error: unknown) => {
          this.#violation(`a fault was not mended: ${String(error)}: ${String((error as Error).cause)}`);
        });
      }
    }
    if (losing) {
      await untilOnline(gateway);
      await scrubAll(gateway);
    }
  }

  #expectNoWrites(): () => void {
    this.#noWritesSinceMs = performance.now();
    return () => {
      this.#noWritesSinceMs = undefined;
    };
  }

  #violation(what: string): void {
    this.#violations.push(what);
    this.#log(`VIOLATION: ${what}`);
  }

  #log(line: string): void {
    const seconds = ((performance.now() - this.#startedAtMs) / 1000).toFixed(1);
    this.#options.log(`${seconds.padStart(7)} s  ${this.#answers.ok} ok, ${this.#answers.refused} refused  ${line}`);
  }
}
