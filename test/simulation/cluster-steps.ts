/** What befalls the cluster as a whole, and what operators do, by name: see plan-cluster.ts. */
import { CatalogError } from "../../src/catalog/kv.ts";
import { TopologyChangeError } from "../../src/cluster/topology-change-error.ts";
import { isOver, JobError } from "../../src/replication/jobs/job-store.ts";
import type { JobView } from "../../src/replication/jobs/live-job.ts";
import { configuredNode } from "../unit/placement/topologies.ts";
import { describe, isExpected } from "./cluster.ts";
import type { SimGateway } from "./gateway.ts";
import type { Machine } from "./machine.ts";
import type { Operator } from "./operator.ts";
import type { ClusterStep } from "./plan-cluster.ts";
import type { World } from "./world.ts";

type ClusterSteps = {
  readonly [Name in ClusterStep["fault"]]: (world: World, step: ClusterStep & { fault: Name }) => Promise<void> | void;
};

export const CLUSTER_STEPS: ClusterSteps = {
  "node away"(world, { node, forMs }) {
    const machine = machineAt(world, node);
    machine.off();
    world.scheduler.after(forMs, () => machine.on());
  },

  cut(world, { place, node, forMs }) {
    const machine = machineAt(world, node);
    const at = place % world.placeCount;
    machine.cutOff(at);
    world.scheduler.after(forMs, () => machine.reconnect(at));
  },

  "coordinator frozen"(world, { forMs }) {
    world.coordinator.freeze();
    world.scheduler.after(forMs, () => world.coordinator.thaw());
  },

  "coordinator emptied"(world) {
    world.coordinator.empty();
  },

  "drain node": (world, { gateway, node }) =>
    submit(world, gateway, { kind: "DRAIN", subject: { node: machineAt(world, node).name } }),

  "drain domain": (world, { gateway, domain, to }) =>
    submit(world, gateway, { kind: "DRAIN", subject: { domain: `d${domain}` }, toDomain: `d${to}` }),

  "rebalance node": (world, { gateway, node }) =>
    submit(world, gateway, { kind: "REBALANCE_TO_NEW", subject: { node: machineAt(world, node).name } }),

  "rebalance domain": (world, { gateway, domain }) =>
    submit(world, gateway, { kind: "REBALANCE_TO_NEW", subject: { domain: `d${domain}` } }),

  migrate: (world, { gateway, node }) =>
    submit(world, gateway, { kind: "MIGRATE_FROM_FAILED", subject: { node: machineAt(world, node).name } }),

  "change job"(world, { gateway, act, pick }) {
    ask(world, gateway, async ({ jobs }) => {
      const open = (await jobs.list()).filter(({ job }) => !isOver(job));
      const view: JobView | undefined = open[pick % Math.max(1, open.length)];
      if (view !== undefined) await jobs[act](view.job.id);
    });
  },

  "add node"(world, { gateway, domain }) {
    if (world.machines.length >= MACHINES_MAX) return;
    const machine = world.addMachine(`d${domain}`);
    ask(world, gateway, (operator) => operator.addNode(configuredNode(machine)));
  },

  "remove node"(world, { gateway, pick }) {
    // Most nodes are in use and are refused; those that were drained are what an operator takes out.
    const closed = world.machines.filter(({ name }) => {
      const record = world.watch.recordOf(name);
      return record?.acceptsWrites === false && world.watch.nodesAtHome(record.homeDomain) > 1;
    });
    const machine = closed[pick % Math.max(1, closed.length)];
    if (machine !== undefined) ask(world, gateway, (operator) => operator.removeNode(machine.name));
  },

  "set policy": (world, { gateway, factor, quorum }) =>
    ask(world, gateway, (operator) => operator.setPolicy({ factor, quorum })),

  promote: (world, { gateway, domain }) =>
    ask(world, gateway, async ({ promoter }) => {
      world.watch.operatorPromotes(`d${domain}`);
      await promoter.promote(`d${domain}`);
    }),

  demote(world, { gateway, pick }) {
    const promoted = world.watch.promoted();
    const node = promoted[pick % Math.max(1, promoted.length)];
    if (node === undefined) return;
    world.watch.operatorPromotes(node.domain);
    ask(world, gateway, ({ promoter }) => promoter.demote(node.name));
  },
};

/** Machines of a world at most. */
const MACHINES_MAX = 14;

function submit(
  world: World,
  gateway: number,
  wish: Omit<Parameters<Operator["jobs"]["submit"]>[0], "cause" | "askedBy">,
): void {
  ask(world, gateway, ({ jobs }) => jobs.submit({ ...wish, cause: "a step of the case", askedBy: "operator" }));
}

/** What is refused an operator does not ask again; somebody else's turn will come. */
function ask(world: World, gateway: number, what: (operator: Operator) => Promise<unknown>): void {
  const { serving } = world;
  const asked: SimGateway | undefined = serving[gateway % Math.max(1, serving.length)];
  if (asked === undefined) return;
  void what(asked.operator).catch((error: unknown) => {
    if (!mayBeRefused(error)) world.violation(`${asked.name} answers an operator: ${describe(error)}`);
    else world.trace.add(`${asked.name} refuses: ${error instanceof Error ? error.message : String(error)}`);
  });
}

export function mayBeRefused(error: unknown): boolean {
  return isExpected(error) || [CatalogError, TopologyChangeError, JobError].some((kind) => error instanceof kind);
}

function machineAt(world: World, node: number): Machine {
  const machine = world.machines[node % world.machines.length];
  if (machine === undefined) throw new Error("a world without machines");
  return machine;
}
