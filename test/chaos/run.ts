/**
 * The fault run: clients on a gateway over real servers while faults come and go, each drawn from the seed. At the end all
 * is mended, everything is read, and what the clients saw is checked.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { History } from "../simulation/history.ts";
import { eventually } from "../support/eventually.ts";
import type { Content } from "../support/ledger.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { seeded } from "../support/seeded.ts";
import { type Answers, type ClientOptions, readEverything, runClient } from "./clients.ts";
import { inject, type Mend } from "./faults.ts";
import { type Fault, LOSING, type Step, schedule, told } from "./schedule.ts";
import { type Site, startSite } from "./site.ts";

const CLIENTS = 8;
/** Until every copy is where it belongs again. */
const WHOLE_TIMEOUT_MS = 240_000;
const VIOLATIONS_MAX = 20;
/** What was refused in calm waters: a moment is left to a gateway for noticing that a node is back. */
const CALM_AFTER_MS = 3_000;

export interface FaultRun {
  readonly seed: number;
  readonly minutes: number;
  readonly log: (line: string) => void;
}

export interface FaultRunResult {
  readonly operations: number;
  readonly refused: number;
  /** How often each was injected. */
  readonly faults: ReadonlyMap<string, number>;
  readonly violations: readonly string[];
}

export async function runFaults({ seed, minutes, log }: FaultRun): Promise<FaultRunResult | { readonly skip: string }> {
  const choices = seeded(seed);
  const chance = seeded(seed + 1);
  const site = await startSite(() => chance.next());
  if ("skip" in site) return site;
  await using _ = site;
  return await new Run(site, { seed, minutes, log }).run(choices);
}

class Run {
  readonly #site: Site;
  readonly #options: FaultRun;
  readonly #violations: string[] = [];
  readonly #faults = new Map<string, number>();
  readonly #answers: Answers = { ok: 0, refused: 0 };
  readonly #history = new History((what) => this.#violation(what));
  readonly #contents = new Map<string, Content>();
  readonly #startedAtMs = performance.now();
  #stopped = false;
  /** Since when nothing is wrong; `undefined` while something is. */
  #calmSinceMs: number | undefined;

  constructor(site: Site, options: FaultRun) {
    this.#site = site;
    this.#options = options;
  }

  async run(choices: ReturnType<typeof seeded>): Promise<FaultRunResult> {
    using client = strictClientOf(this.#site.gateway);
    const options = (number: number): ClientOptions => ({
      client,
      history: this.#history,
      contents: this.#contents,
      seed: this.#options.seed,
      number,
      answers: this.#answers,
      stopped: () => this.#stopped || this.#violations.length > VIOLATIONS_MAX,
      violation: (what) => this.#violation(what),
      refused: (label, error, begunAtMs) => {
        if (this.#calmSinceMs === undefined || begunAtMs < this.#calmSinceMs + CALM_AFTER_MS) return;
        this.#violation(`${label} was refused while nothing was wrong: ${String(error)}`);
      },
    });
    this.#calmSinceMs = performance.now();
    const clients = Array.from({ length: CLIENTS }, (_, number) => runClient(options(number)));
    try {
      await this.#injectFaults(choices);
    } finally {
      this.#stopped = true;
      await Promise.all(clients);
    }
    await this.#whole("all copies are where they belong in the end");
    await this.#scrubAll();
    await this.#whole("all copies are where they belong after the scrub");
    await readEverything(options(CLIENTS)).catch((error: unknown) => {
      this.#violation(`the last reading failed: ${String(error)}`);
    });
    this.#history.check();
    const operations = this.#answers.ok + this.#answers.refused;
    return { operations, refused: this.#answers.refused, faults: this.#faults, violations: this.#violations };
  }

  async #injectFaults(choices: ReturnType<typeof seeded>): Promise<void> {
    const { nodes, domains } = this.#site;
    const endMs = this.#startedAtMs + this.#options.minutes * 60_000;
    for (const step of schedule(choices, { nodes: nodes.length, domains: domains.length })) {
      if (performance.now() >= endMs || this.#violations.length > 0) return;
      await this.#take(step, choices);
    }
  }

  async #take({ calmMs, lastsMs, faults }: Step, choices: ReturnType<typeof seeded>): Promise<void> {
    const losing = faults.some(({ kind }) => LOSING.has(kind));
    await this.#online();
    this.#calmSinceMs ??= performance.now();
    // What is lost for good is lost only where the other copies are all there.
    if (losing) await this.#whole("all copies are where they belong before some are lost");
    await sleep(calmMs);
    this.#log(faults.map(told).join(", and "));
    this.#calmSinceMs = undefined;
    const mends: Mend[] = [];
    for (const fault of faults) {
      this.#count(fault);
      mends.push(await inject(this.#site, fault, choices));
    }
    await sleep(lastsMs);
    for (const mend of mends.reverse()) await mend();
    if (losing) {
      await this.#online();
      await this.#scrubAll();
    }
  }

  #count(fault: Fault): void {
    const name = fault.kind === "domain" ? `domain ${fault.how}` : fault.kind;
    this.#faults.set(name, (this.#faults.get(name) ?? 0) + 1);
  }

  /** Resolves when the gateway takes every node for well. */
  async #online(): Promise<void> {
    await eventually("every node is online", { timeoutMs: WHOLE_TIMEOUT_MS, intervalMs: 200 }, async () => {
      const path = "/api/v1/storage/cluster/workers";
      const { workers } = (await this.#site.gateway.admin(path)) as { workers: { name: string; state: string }[] };
      const away = workers.filter(({ state }) => state !== "online").map(({ name, state }) => `${name} ${state}`);
      if (away.length > 0) throw new Error(away.join(", "));
    });
  }

  async #whole(what: string): Promise<void> {
    await eventually(what, { timeoutMs: WHOLE_TIMEOUT_MS, intervalMs: 500 }, async () => {
      const path = "/api/v1/storage/cluster/replication";
      const { missing, handoff, unverified, corrupt } = (await this.#site.gateway.admin(path)) as Backlog;
      const backlog = { missing, handoff, unverified, corrupt };
      if (Object.values(backlog).some((count) => count > 0)) throw new Error(JSON.stringify(backlog));
    });
  }

  /** Reads every copy on every node, so that what was lost behind the gateway's back is found. */
  async #scrubAll(): Promise<void> {
    const before = new Map((await this.#scrubs()).map(({ node, last_pass }) => [node, last_pass?.ended_at]));
    await this.#site.gateway.adminPost("/api/v1/storage/cluster/scrub", {});
    await eventually("every node is scrubbed", { timeoutMs: WHOLE_TIMEOUT_MS, intervalMs: 500 }, async () => {
      const still = (await this.#scrubs()).filter(
        ({ node, last_pass, state }) => state !== "idle" || last_pass?.ended_at === before.get(node),
      );
      if (still.length > 0) throw new Error(still.map(({ node, state }) => `${node} ${state}`).join(", "));
    });
  }

  async #scrubs(): Promise<Scrub[]> {
    return ((await this.#site.gateway.admin("/api/v1/storage/cluster/scrub")) as { nodes: Scrub[] }).nodes;
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

type Backlog = Record<"missing" | "handoff" | "unverified" | "corrupt", number>;

interface Scrub {
  readonly node: string;
  readonly state: string;
  readonly last_pass: { readonly ended_at: string } | null;
}
