/** Cuts the power of a recorded life: the disks keep what they keep, and a fresh machine has to show what it must. */

import { NothingToReplayError } from "../../src/catalog/journal/replay.ts";
import { seededRandom } from "../../src/shared/random.ts";
import { Machine, type MachineFaults, type MachineOptions } from "./machine.ts";
import { contradictions } from "./model.ts";
import { observe } from "./observe.ts";
import { type DiskImage, EMPTY_DISK, Platter, type PlatterFaults } from "./platter.ts";
import type { Expectation, Life } from "./recording.ts";
import { seedOf } from "./seed-of.ts";

/** Of the power of all nodes; and of one node's disk as well. */
export type Loss = "power" | "disk";

export interface CutOptions {
  readonly seed: number;
  /** What happens after this step, each time with other survivors. */
  readonly cutsAt: (step: number) => readonly Loss[];
  /** Whether then background work is done on what is left, and power and catalog are lost once more. */
  readonly goesOnAt: (step: number) => boolean;
  readonly faults?: MachineFaults & PlatterFaults;
}

export interface Violation {
  readonly life: number;
  readonly step: number;
  readonly what: string;
  readonly problems: readonly string[];
}

export interface CutReport {
  readonly cuts: number;
  readonly violations: readonly Violation[];
}

const VIOLATIONS_MAX = 5;
const LOSSES: readonly Loss[] = ["power", "disk"];

/** Steps through a life; stops at a handful of violations. */
export async function cutLife(life: Life, options: CutOptions): Promise<CutReport> {
  const platters = life.images.map((image) => new Platter(image, options.faults));
  const violations: Violation[] = [];
  let cuts = 0;
  for (let step = 0; step <= life.steps.length && violations.length < VIOLATIONS_MAX; step++) {
    const last = life.steps[step - 1];
    if (last !== undefined) platters[last.node]?.apply(last.event);
    for (const loss of options.cutsAt(step)) {
      cuts++;
      const random = seededRandom(seedOf(options.seed, life.number, step, LOSSES.indexOf(loss)));
      const cut = {
        images: platters.map((platter) => platter.survivors(random)),
        lost: loss === "disk" ? Math.floor(random.float() * platters.length) : undefined,
        goesOn: options.goesOnAt(step),
        seed: seedOf(options.seed, step),
        clusterId: life.clusterId,
        faults: options.faults,
      };
      const problems = await problemsAfter(cut, life.expected(step));
      const what = cut.lost === undefined ? "power cut" : `power cut, and the disk of node ${cut.lost} lost`;
      if (problems.length > 0) violations.push({ life: life.number, step, what, problems });
    }
  }
  return { cuts, violations };
}

export interface Cut {
  readonly images: readonly DiskImage[];
  /** A node whose disk is gone as well. */
  readonly lost: number | undefined;
  readonly goesOn: boolean;
  readonly seed: number;
  readonly clusterId: string;
  readonly faults: MachineFaults | undefined;
}

/** What is wrong with a machine that is opened on what the disks kept. */
export async function problemsAfter(cut: Cut, expected: Expectation): Promise<string[]> {
  const images = cut.images.map((image, number) => (number === cut.lost ? EMPTY_DISK : image));
  const lost = new Set(cut.lost === undefined ? [] : [cut.lost]);
  const quick = { clusterId: cut.clusterId, seed: cut.seed, turnsMax: () => 0, lost };
  const platters = images.map((image) => new Platter(image));
  const machine = new Machine({
    ...quick,
    images,
    ...(cut.goesOn ? { onEvent: (node, event) => platters[node]?.apply(event) } : {}),
    ...(cut.faults?.quorum === undefined ? {} : { faults: { quorum: cut.faults.quorum } }),
  });
  try {
    await machine.drive(machine.open());
    const problems = contradictions((await machine.drive(observe(machine.client))).state, expected);
    if (lost.size === 0 && machine.damages > 0) problems.push("a copy on record is not good");
    if (!cut.goesOn || problems.length > 0) return problems;
    return await problemsLater(machine, platters, { ...quick, seed: seedOf(cut.seed) });
  } catch (error) {
    // Nothing was ever acknowledged, and nothing is there.
    if (error instanceof NothingToReplayError && expected.certain.size === 0) return [];
    return [`it cannot go on: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  } finally {
    machine.powerOff();
  }
}

/** Does all background work, and loses power and catalog once more. */
async function problemsLater(
  machine: Machine,
  platters: readonly Platter[],
  again: Omit<MachineOptions, "images">,
): Promise<string[]> {
  const settled = { certain: (await machine.drive(observe(machine.client))).state, underWay: [] };
  await machine.drive(machine.tidyUp());
  const problems = contradictions((await machine.drive(observe(machine.client))).state, settled);
  machine.powerOff();
  const random = seededRandom(again.seed);
  const second = new Machine({ ...again, images: platters.map((platter) => platter.survivors(random)) });
  await second.drive(second.open());
  problems.push(...contradictions((await second.drive(observe(second.client))).state, settled));
  second.powerOff();
  return problems.map((problem) => `after background work: ${problem}`);
}
