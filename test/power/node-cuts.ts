/**
 * Cuts the power of one node while the gateway and the other nodes go on, round after round over one store: at the
 * first step of the disks in the first round, at the second in the second, and so on. At the end of a round the node is
 * back with what its disk kept, everything is looked at, and now and then the catalog is lost, also with a node's disk.
 */

import { ObjectError, type ObjectErrorCode } from "../../src/objects/api.ts";
import { loadChecksums } from "../../src/shared/checksums.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { Client } from "./client.ts";
import { problemsAfter, type Violation } from "./cuts.ts";
import { Machine, type MachineFaults } from "./machine.ts";
import { contradictions, History, type State } from "./model.ts";
import { observe, type Sight } from "./observe.ts";
import { EMPTY_DISK, Platter } from "./platter.ts";
import { seedOf } from "./seed-of.ts";

const CLIENTS = ["ann", "bob", "cid"];
const TURNS_MAX = 3;
const OPERATIONS_PER_ROUND = 15;
/** Rounds after which the step of the cut begins at the first again: no round has more steps. */
const STEPS_PER_ROUND = 100;
/** A round after which the catalog is lost, and then, when all background work is done, a node's disk with it. */
const DISASTER_EVERY = 5;
const VIOLATIONS_MAX = 5;
/** What a client may be told while a node is away. */
const TEMPORARY: ReadonlySet<ObjectErrorCode> = new Set(["unavailable", "not-enough-copies"]);

export interface NodeCutOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly rounds: number;
  readonly faults?: MachineFaults;
}

export interface NodeCutReport {
  readonly rounds: number;
  /** Rounds that had so many steps that the power was cut in them. */
  readonly cuts: number;
  readonly acknowledged: number;
  readonly failed: number;
  readonly disasters: number;
  readonly violations: readonly Violation[];
}

export async function cutNodes(options: NodeCutOptions): Promise<NodeCutReport> {
  await loadChecksums();
  const store = new Store(options);
  await store.open();
  const violations: Violation[] = [];
  let round = 0;
  for (; round < options.rounds && violations.length < VIOLATIONS_MAX; round++) {
    const step = 1 + (round % STEPS_PER_ROUND);
    const problems = await store.round(round, step).catch((error: unknown) => [`it cannot go on: ${describe(error)}`]);
    const what = `node ${round % options.nodes} without power`;
    if (problems.length > 0) violations.push({ life: round, step, what, problems });
  }
  store.machine.powerOff();
  return { rounds: round, ...store.counts, violations };
}

class Store {
  readonly machine: Machine;
  readonly counts = { cuts: 0, acknowledged: 0, failed: 0, disasters: 0 };
  readonly #options: NodeCutOptions;
  readonly #platters: Platter[];
  #state: State = new Map();
  #steps = 0;
  #onStep: () => void = () => {};

  constructor(options: NodeCutOptions) {
    const { nodes, seed, faults } = options;
    this.#options = options;
    const images = Array.from({ length: nodes }, () => EMPTY_DISK);
    this.#platters = images.map((image) => new Platter(image));
    this.machine = new Machine({
      images,
      clusterId: undefined,
      seed,
      turnsMax: () => TURNS_MAX,
      onEvent: (node, event) => {
        this.#platters[node]?.apply(event);
        this.#steps++;
        this.#onStep();
      },
      ...(faults === undefined ? {} : { faults }),
    });
  }

  async open(): Promise<void> {
    const { machine } = this;
    await machine.drive(machine.open());
    await machine.drive(machine.client.createBucket("shared"));
    this.#state = new Map([["bucket shared", "there"]]);
  }

  /** @returns what is wrong at its end */
  async round(round: number, cutAt: number): Promise<string[]> {
    const { machine, counts } = this;
    const { seed, nodes } = this.#options;
    const random = seededRandom(seedOf(seed, round, 1));
    const victim = round % nodes;
    const history = new History(this.#state);
    let isCut = false;
    // While the node is still there: what cannot be read without it is no other content.
    const sight = await machine.drive(observe(machine.client));
    this.#steps = 0;
    this.#onStep = () => {
      if (isCut || this.#steps < cutAt) return;
      isCut = true;
      machine.nodePowerOff(victim);
    };
    await machine.drive(this.#work(history, round, sight));
    this.#onStep = () => {};
    if (isCut) {
      counts.cuts++;
      const platter = this.#platters[victim];
      if (platter === undefined) throw new RangeError("no such node");
      const image = platter.survivors(random);
      this.#platters[victim] = new Platter(image);
      await machine.drive(machine.nodePowerOn(victim, image));
    }
    const settled = history.at(Number.POSITIVE_INFINITY);
    const seen = (await machine.drive(observe(machine.client))).state;
    const problems = contradictions(seen, settled);
    this.#state = seen;
    if (problems.length > 0 || round % DISASTER_EVERY !== DISASTER_EVERY - 1) return problems;
    return this.#disaster(round);
  }

  /** The operations of a round. A client whose operation failed stops: what it wanted is under way until somebody looks. */
  async #work(history: History, round: number, sight: Sight): Promise<void> {
    const { machine, counts } = this;
    const { seed } = this.#options;
    const random = seededRandom(seedOf(seed, round, 2));
    const clients = CLIENTS.map(async (name, index) => {
      const own = seededRandom(seedOf(seed, round, 3, index));
      const step = (): number => this.#steps;
      const client = new Client({ name, objects: machine.client, random: own, history, step }, sight);
      for (let left = OPERATIONS_PER_ROUND / CLIENTS.length; left > 0; left--) {
        try {
          await client.operate();
          counts.acknowledged++;
        } catch (error) {
          if (isWrong(error)) throw error;
          counts.failed++;
          return;
        }
      }
    });
    const jobs = [
      () => machine.sweep(),
      () => machine.keepJournal(),
      () => machine.repair(),
      () => machine.collectOrphans(),
      () => machine.snapshot(),
    ];
    const background = async (): Promise<void> => {
      const job = jobs[Math.floor(random.float() * jobs.length)];
      // It is done again when the node is back.
      await job?.().catch(() => {});
    };
    await Promise.all([...clients, background()]);
  }

  /** The catalog is lost as things are; and once all is repaired, with the disk of a node. */
  async #disaster(round: number): Promise<string[]> {
    const { machine } = this;
    const { seed, faults } = this.#options;
    this.counts.disasters++;
    const random = seededRandom(seedOf(seed, round, 4));
    const problemsWithout = async (lost: number | undefined): Promise<string[]> => {
      const images = this.#platters.map((platter) => platter.survivors(random));
      const cut = { images, lost, goesOn: false, seed: seedOf(seed, round), clusterId: machine.clusterId, faults };
      const problems = await problemsAfter(cut, { certain: this.#state, underWay: [] });
      const what = lost === undefined ? "" : ` and the disk of node ${lost}`;
      return problems.map((problem) => `with the catalog${what} lost: ${problem}`);
    };
    const problems = await problemsWithout(undefined);
    await machine.drive(machine.tidyUp());
    return [...problems, ...(await problemsWithout(Math.floor(random.float() * this.#platters.length)))];
  }
}

/** A client was told something wrong, rather than that its operation failed. */
function isWrong(error: unknown): boolean {
  return !(error instanceof ObjectError) || !TEMPORARY.has(error.code);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
