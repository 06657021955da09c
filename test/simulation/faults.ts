/**
 * What goes wrong besides the network and the store, by name. None asks for more than was promised: a copy is taken only
 * where another one of its blob is on record as good and untouched, the catalog where its journal is where it was
 * promised to be.
 */
import { TopologyChangeError } from "../../src/cluster/topology-change-error.ts";
import type { CopyKey } from "../../src/nodes/storage-node.ts";
import { describe, isExpected } from "./cluster.ts";
import { CLUSTER_STEPS } from "./cluster-steps.ts";
import type { Machine } from "./machine.ts";
import type { FaultStep } from "./plan.ts";
import type { ClusterStep } from "./plan-cluster.ts";
import type { World } from "./world.ts";

/**
 * Within this a node that is off is known to be off. One whose disk was changed behind the gateways' backs takes writes
 * until its identity is looked for again, and with a degraded write that may be the only copy: not promised to be safe.
 */
const NOTICED_MS = 8_000;

type Faults = {
  readonly [Name in FaultStep["fault"]]: (world: World, step: FaultStep & { fault: Name }) => Promise<void> | void;
};

const FAULTS: Faults = {
  crash(world, { gateway, backMs }) {
    const place = gateway % world.placeCount;
    if (world.servingAt(place).length === 0) return;
    const sessions = endAt(world, place);
    startLater(world, place, { afterMs: backMs, sessions });
  },

  takeover(world, { gateway, zombieMs }) {
    const place = gateway % world.placeCount;
    const taken = [...world.servingAt(place)];
    if (taken.length !== 1) return;
    if (world.config.journal !== "off") {
      // The store is in the same process and goes with it.
      startLater(world, place, { afterMs: 0, sessions: endAt(world, place) });
      return;
    }
    const sessions = taken.map(({ session }) => session);
    for (const session of sessions) world.leakySessions.add(session);
    world.launch(place, world.placeCount > 1 ? sessions : "others");
    world.scheduler.after(zombieMs, () => {
      for (const each of taken) world.killProcess(each);
    });
  },

  "node off": (world, { node, forMs }) => offFor(world, node, forMs, (machine) => machine.off()),
  "node power": (world, { node, forMs }) => offFor(world, node, forMs, (machine) => machine.losePower()),

  "node silent"(world, { node, forMs }) {
    const machine = machineAt(world, node);
    machine.hush();
    world.scheduler.after(forMs, () => machine.speak());
  },

  "node full"(world, { node, forMs }) {
    const machine = machineAt(world, node);
    machine.full = true;
    world.scheduler.after(forMs, () => {
      machine.full = false;
    });
  },

  power(world, { forMs }) {
    for (let place = 0; place < world.placeCount; place++) {
      const sessions = endAt(world, place);
      startLater(world, place, { afterMs: forMs, sessions });
    }
    for (const machine of world.machines) {
      machine.losePower();
      world.scheduler.after(forMs, () => machine.on());
    }
  },

  async wipe(world, { node, forMs }) {
    const machine = machineAt(world, node);
    // Under another name it would be in the configuration as well.
    if (machine.joined || !(await mayLose(world, machine, machine.store.blobs.keys()))) return;
    machine.losePower();
    machine.wipe();
    world.trace.add(`${machine.name} has an empty disk`);
    world.scheduler.after(Math.max(forMs, NOTICED_MS), () => machine.on());
  },

  snapshot(world, { node }) {
    machineAt(world, node).takeSnapshot();
  },

  async "old state"(world, { node, forMs }) {
    const machine = machineAt(world, node);
    if (!machine.hasSnapshot || !(await mayLose(world, machine, machine.youngerThanSnapshot()))) return;
    machine.losePower();
    machine.returnToSnapshot();
    world.trace.add(`${machine.name} has the disk of some time ago`);
    world.scheduler.after(forMs, () => machine.on());
  },

  "corrupt copy": (world, { pick }) =>
    takeCopy(world, pick, (machine, key) => {
      world.trace.add(`copy ${key} on ${machine.name} rots`);
      machine.corrupt(key);
    }),

  "lose copy": (world, { pick }) =>
    takeCopy(world, pick, (machine, key) => {
      world.trace.add(`copy ${key} on ${machine.name} is lost`);
      machine.destroy(key);
    }),

  "foreign blob"(world, { node, pick }) {
    const machine = machineAt(world, node);
    // What looks like the journal's, like a session's that never was, and like nothing of ours at all.
    const sessions = ["00000000", "fffffff0", "not-ours"];
    const name = pick.toString(16).padStart(32, "0");
    machine.addForeign(`${sessions[pick % sessions.length]}/${name}`, Buffer.from(name));
  },

  "nodes replaced"(world) {
    if (!world.machines.some(({ wiped }) => wiped)) return;
    replaceNodes(world);
    world.launchAll();
  },

  async "lose catalog"(world, { backMs, domain, leadMs }) {
    if (world.config.journal === "off") return;
    const lose = async (): Promise<void> => {
      if (world.calm || !(await world.mayLoseCatalog())) return;
      endAt(world, 0);
      world.loseCatalog();
      world.scheduler.after(backMs, () => world.rebuildCatalog());
    };
    if (domain === null) return lose();
    for (const [node, machine] of world.machines.entries()) {
      if (machine.domain === `d${domain}`) offFor(world, node, 2 * (leadMs + backMs), (each) => each.off());
    }
    world.scheduler.after(leadMs, () => void lose());
  },

  "hurt journal"(world, { node, pick }) {
    const machine = machineAt(world, node);
    const pieces = world.catalogLost ? [] : machine.journalPieces;
    const key = pieces[pick % Math.max(1, pieces.length)];
    if (key === undefined) return;
    world.trace.add(`piece ${key} of the journal on ${machine.name} is hurt`);
    if (pick % 2 === 0) machine.corrupt(key);
    else machine.destroy(key);
  },

  "set node"(world, { node, weight, acceptsWrites }) {
    const { name } = machineAt(world, node);
    // With another one that refuses, an operator waits and asks again; here somebody else's turn will come.
    void world.serving[0]?.operator.setNode(name, { weight, acceptsWrites }).catch((error: unknown) => {
      if (!isExpected(error) && !(error instanceof TopologyChangeError)) world.violation(describe(error));
    });
  },

  scrub(world, { pick }) {
    const { serving } = world;
    serving[pick % Math.max(1, serving.length)]?.scrubbing.request();
  },
};

export async function applyFault(world: World, step: FaultStep | ClusterStep): Promise<void> {
  world.trace.add(`fault: ${JSON.stringify(step)}`);
  const apply = { ...FAULTS, ...CLUSTER_STEPS }[step.fault] as (world: World, step: object) => Promise<void> | void;
  await apply(world, step);
}

/** An operator gives nodes that came back empty new names, which takes a restart of the gateways. */
export function replaceNodes(world: World): void {
  for (const machine of world.machines) if (machine.wiped) machine.rename(`${machine.name}'`);
  for (let place = 0; place < world.placeCount; place++) endAt(world, place);
}

/** Ends the processes of a place. @returns their sessions */
function endAt(world: World, place: number): number[] {
  const sessions = world.kill(place);
  // Somebody else's collector may be at work already while requests of the dead are still on their way.
  if (world.placeCount > 1) for (const session of sessions) world.leakySessions.add(session);
  return sessions;
}

function startLater(world: World, place: number, how: { afterMs: number; sessions: readonly number[] }): void {
  world.scheduler.after(how.afterMs, () => {
    if (world.calm || world.isAlive(place)) return;
    world.launch(place, world.placeCount > 1 ? how.sessions : "others");
  });
}

function offFor(world: World, node: number, forMs: number, off: (machine: Machine) => void): void {
  const machine = machineAt(world, node);
  off(machine);
  world.scheduler.after(forMs, () => machine.on());
}

async function takeCopy(world: World, pick: number, take: (machine: Machine, key: CopyKey) => void): Promise<void> {
  if (world.catalogLost) return;
  const copies = await world.oracle.goodCopies();
  const copy = copies[pick % Math.max(1, copies.length)];
  if (copy !== undefined && (await mayLose(world, copy.machine, [copy.key]))) take(copy.machine, copy.key);
}

async function mayLose(world: World, machine: Machine, keys: Iterable<CopyKey>): Promise<boolean> {
  if (world.catalogLost) return false;
  const may = await world.oracle.mayLose(machine, new Set(keys));
  // Where the other copies are may be known to the catalog alone.
  if (may) await world.keepCatalogForNow();
  return may;
}

function machineAt(world: World, node: number): Machine {
  const machine = world.machines[node % world.machines.length];
  if (machine === undefined) throw new Error("a world without machines");
  return machine;
}
