/**
 * Runs a machine through several lives, each of which begins with what a power cut or an orderly stop left of the one
 * before, and records every step of its disks beside what its clients did.
 */
import { loadChecksums } from "../../src/shared/checksums.ts";
import type { Id } from "../../src/shared/ids.ts";
import { type Random, seededRandom } from "../../src/shared/random.ts";
import { Client, SHARED_BUCKET } from "./client.ts";
import { Machine, type MachineFaults } from "./machine.ts";
import { contradictions, History, type Operation, type State } from "./model.ts";
import { observe, type Sight } from "./observe.ts";
import { type DiskEvent, type DiskImage, EMPTY_DISK, Platter, type PlatterFaults } from "./platter.ts";
import { seedOf } from "./seed-of.ts";

const CLIENTS = ["ann", "bob", "cid"];
const TURNS_MAX = 3;
/** Turns that background work waits between two jobs. */
const PAUSE_TURNS = 16;

export interface RecordOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly lives: readonly LifePlan[];
  readonly faults?: MachineFaults & PlatterFaults;
  /** Of a node's disk, by its number; a few when absent. */
  readonly turnsMax?: (node: number) => number;
}

export interface LifePlan {
  /** Acknowledged operations after which it ends. */
  readonly operations: number;
  readonly snapshots: boolean;
  readonly end: "cut" | "stop";
}

export interface Expectation {
  readonly certain: State;
  readonly underWay: readonly Operation[];
}

/** One life of the machine. */
export interface Life {
  readonly number: number;
  readonly images: readonly DiskImage[];
  readonly clusterId: Id;
  readonly steps: readonly { readonly node: number; readonly event: DiskEvent }[];
  /** What a power cut after so many steps has to leave. */
  expected(step: number): Expectation;
  readonly acknowledged: number;
  /** Jobs of the background that ended. */
  readonly jobs: ReadonlyMap<string, number>;
}

/** Something that must not be was seen while nothing was wrong with the machine. */
export class RunError extends Error {
  readonly life: number;
  constructor(life: number, message: string, options?: ErrorOptions) {
    super(`life ${life}: ${message}`, options);
    this.name = "RunError";
    this.life = life;
  }
}

const NOTHING: Expectation = { certain: new Map(), underWay: [] };

/** @throws RunError */
export async function* record(options: RecordOptions): AsyncGenerator<Life, void, undefined> {
  // Loaded in its own time, once; a run that waited for it would be another one.
  await loadChecksums();
  let images: readonly DiskImage[] = Array.from({ length: options.nodes }, () => EMPTY_DISK);
  let before = NOTHING;
  let clusterId: Id | undefined;
  for (const [number, plan] of options.lives.entries()) {
    const life = await live({ ...options, number, plan, images, clusterId, before });
    yield life;
    const random = seededRandom(seedOf(options.seed, number, 1));
    const platters = images.map((image) => new Platter(image, options.faults));
    for (const { node, event } of life.steps) platters[node]?.apply(event);
    images = platters.map((platter) => platter.survivors(random));
    before = life.expected(life.steps.length);
    ({ clusterId } = life);
  }
}

interface LifeOptions extends RecordOptions {
  readonly number: number;
  readonly plan: LifePlan;
  readonly images: readonly DiskImage[];
  readonly clusterId: Id | undefined;
  readonly before: Expectation;
}

async function live(options: LifeOptions): Promise<Life> {
  const { number, plan, images, clusterId, before, faults } = options;
  const seed = seedOf(options.seed, number);
  const steps: { node: number; event: DiskEvent }[] = [];
  const machine = new Machine({
    images,
    clusterId,
    seed,
    turnsMax: options.turnsMax ?? (() => TURNS_MAX),
    onEvent: (node, event) => void steps.push({ node, event }),
    ...(faults === undefined ? {} : { faults }),
  });
  await machine.drive(machine.open()).catch((error: unknown) => {
    throw new RunError(number, `it cannot begin: ${String(error)}`, { cause: error });
  });
  const sight = await machine.drive(observe(machine.client));
  const problems = contradictions(sight.state, before);
  if (problems.length > 0) throw new RunError(number, `it begins wrong: ${problems.join("; ")}`);
  const openedAt = steps.length;
  const history = new History(sight.state);
  const jobs = new Map<string, number>();
  const acknowledged = await work(machine, {
    life: number,
    seed,
    plan,
    history,
    sight,
    jobs,
    step: () => steps.length,
  });
  jobs.set("merged segments", machine.mergedSegments);
  if (plan.end === "stop") await machine.drive(machine.stop());
  machine.powerOff();
  jobs.set("volumes removed by compaction", machine.removedVolumes);
  return {
    number,
    images,
    clusterId: machine.clusterId,
    steps,
    expected: (step) => (step < openedAt ? before : history.at(step)),
    acknowledged,
    jobs,
  };
}

interface Work {
  readonly life: number;
  readonly seed: number;
  readonly plan: LifePlan;
  readonly history: History;
  readonly sight: Sight;
  readonly jobs: Map<string, number>;
  readonly step: () => number;
}

/** @returns the number of acknowledged operations */
async function work(machine: Machine, { life, seed, plan, history, sight, jobs, step }: Work): Promise<number> {
  let acknowledged = 0;
  const random = seededRandom(seedOf(seed, 1));
  const base = await withSharedBucket(machine, history, sight, step);
  const enough = Promise.withResolvers<void>();
  const running = CLIENTS.map(async (name, index) => {
    const own = seededRandom(seedOf(seed, 2, index));
    const client = new Client({ name, objects: machine.client, random: own, history, step }, base);
    while (machine.on && acknowledged < plan.operations) {
      await client.operate();
      if (!machine.on) return;
      acknowledged++;
    }
    enough.resolve();
  });
  const background = keepBusy(machine, { random, jobs, plan, isOver: () => acknowledged >= plan.operations });
  const failed = Promise.all([...running, background]);
  // What a cut leaves under way never ends.
  await machine.drive(plan.end === "cut" ? Promise.race([failed, enough.promise]) : failed).catch((error: unknown) => {
    throw new RunError(life, `an operation failed though nothing was wrong: ${String(error)}`, { cause: error });
  });
  if (machine.damages > 0) throw new RunError(life, "a copy was found bad though nothing was wrong");
  return acknowledged;
}

async function withSharedBucket(machine: Machine, history: History, sight: Sight, step: () => number): Promise<Sight> {
  const fact = `bucket ${SHARED_BUCKET}`;
  if (sight.state.has(fact)) return sight;
  const operation = history.begin({
    what: `creating ${SHARED_BUCKET}`,
    startedAt: step(),
    effects: new Map([[fact, "there"]]),
  });
  await machine.drive(machine.client.createBucket(SHARED_BUCKET));
  operation.acknowledgedAt = step();
  return { ...sight, state: new Map([...sight.state, [fact, "there"]]) };
}

interface Background {
  readonly random: Random;
  readonly jobs: Map<string, number>;
  readonly plan: LifePlan;
  readonly isOver: () => boolean;
}

async function keepBusy(machine: Machine, { random, jobs, plan, isOver }: Background): Promise<void> {
  const choices: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["sweep", () => machine.sweep()],
    ["sweep", () => machine.sweep()],
    ["journal kept", () => machine.keepJournal()],
    ["repair", () => machine.repair()],
    ["orphans", () => machine.collectOrphans()],
    ...(plan.snapshots ? [["snapshot", () => machine.snapshot()] as const] : []),
  ];
  while (!isOver()) {
    for (let turn = random.float() * PAUSE_TURNS; turn > 0; turn--) await new Promise((r) => setImmediate(r));
    const [name, run] = choices[Math.floor(random.float() * choices.length)] ?? ["nothing", async () => {}];
    await run();
    jobs.set(name, (jobs.get(name) ?? 0) + 1);
  }
}
