/** Runs one case from its start to its end and says what went wrong. */

import type { Checksums } from "../../src/shared/checksums.ts";
import { liveBlobs } from "../support/catalog-audit.ts";
import { type CatalogContents, leftovers } from "../support/catalog-contents.ts";
import { applyFault, replaceNodes } from "./faults.ts";
import type { Mutation } from "./mutation.ts";
import { type Case, STABLE, type Step, VOLATILE } from "./plan.ts";
import { restore, stillOpen } from "./restore.ts";
import { World } from "./world.ts";

/** Between two looks at whether background work has come to its end. */
const SETTLE_STEP_MS = 6_000;
/** How long that may take; and while there is still to repair, since what failed often waits for an hour. */
const SETTLE_MS_MAX = 600_000;
const REPAIR_MS_MAX = 2 * 3_600_000;
const STILL_TO_REPAIR = "there is still to repair";
/** Steps after which the catalog is audited. */
const AUDIT_EVERY = 50;

export interface CaseResult {
  readonly operations: number;
  readonly violations: readonly string[];
  readonly traceHash: string;
  readonly trace: readonly string[];
  /** Simulated. */
  readonly durationMs: number;
}

export interface RunOptions {
  readonly checksums: Checksums;
  readonly mutation?: Mutation;
  readonly keepTrace?: boolean;
}

export async function runCase({ config, steps }: Case, options: RunOptions): Promise<CaseResult> {
  const { checksums, mutation = {}, keepTrace = false } = options;
  const world = new World({ config, checksums, mutation, keepTrace });
  // What Node.js would end a process for.
  const onRejection = (error: unknown): void => {
    world.violation(`nobody handles ${error instanceof Error ? error.stack : String(error)}`);
  };
  process.on("unhandledRejection", onRejection);
  try {
    await world.open();
    for (let at = 0; at < steps.length && world.violations.length === 0; at += AUDIT_EVERY) {
      await take(world, steps.slice(at, at + AUDIT_EVERY));
      if (world.violations.length === 0) await world.checkCatalog();
    }
    if (world.violations.length === 0) await finish(world);
    world.history.check();
  } catch (error) {
    world.violation(`the case ended with ${error instanceof Error ? error.stack : String(error)}`);
  }
  // Rejections that nobody handles are told at the end of a turn.
  await new Promise((resolve) => setImmediate(resolve));
  const result = {
    operations: world.operations,
    violations: [...world.violations],
    traceHash: world.trace.hash,
    trace: [...world.trace.lines],
    durationMs: world.scheduler.nowMs,
  };
  world.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onRejection);
  return result;
}

/** Takes the steps one after the other and waits for the clients to be done. */
async function take(world: World, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (world.violations.length > 0) return;
    if (step.waitMs > 0) await world.pass(step.waitMs);
    if ("fault" in step) await applyFault(world, step);
    else world.enqueue(step);
  }
  await world.clientsDone();
}

/** The faults end, a new gateway starts: everything is put in order, can be read, and leaves nothing when it is deleted. */
async function finish(world: World): Promise<void> {
  world.trace.add("the faults end");
  world.calm = true;
  for (const machine of world.machines) machine.recover();
  world.coordinator.recover();
  replaceNodes(world);
  await world.tryToRebuild();
  await world.acceptRebuild();
  world.launch(0, "others");
  await world.until(() => world.serving.length > 0, "a gateway starts again");
  await restore(world);
  world.serving[0]?.scrubbing.request();
  await settle(world, "after the faults");
  if (world.violations.length > 0) return;

  await checkRedundancy(world);
  for (const path of world.keys) {
    const outcome = await world.ask({ op: "get", path, range: null, holdMs: 0 });
    if (outcome === "unavailable") world.violation(`${path} cannot be read although all nodes are there (I1)`);
  }
  for (const bucket of [STABLE, VOLATILE]) {
    await world.ask({ op: "list", bucket, prefix: "", delimiter: "", maxKeys: 1_000 });
  }
  for (const machine of world.machines) {
    for (const problem of machine.foreignProblems()) world.violation(`${problem} (I11)`);
  }
  if (world.violations.length > 0) return;

  for (const path of world.keys) await world.ask({ op: "delete", path, condition: "none" });
  await world.deleteBuckets();
  await settle(world, "after all was deleted");
  if (world.violations.length > 0) return;
  const { contents } = await world.audit();
  for (const left of leftovers(contents)) {
    if (!left.endsWith(" pending-delete")) world.violation(`the catalog is left with ${left} (I3)`);
  }
}

/** Lets background work come to its end. */
async function settle(world: World, when: string): Promise<void> {
  const repairUntilMs = world.scheduler.nowMs + REPAIR_MS_MAX;
  let left: string[] = [];
  let untilMs = world.scheduler.nowMs + SETTLE_MS_MAX;
  do {
    await world.pass(SETTLE_STEP_MS);
    if (world.violations.length > 0) return;
    left = await unsettled(world);
    // What the last repair replaced takes its time to go.
    const repairing = left.some((each) => each.startsWith(STILL_TO_REPAIR));
    if (repairing) untilMs = Math.min(repairUntilMs, world.scheduler.nowMs + SETTLE_MS_MAX);
  } while (left.length > 0 && world.scheduler.nowMs < untilMs);
  for (const each of left) world.violation(`${when}: ${each}`);
}

async function unsettled(world: World): Promise<string[]> {
  const { problems, orphans, contents } = await world.audit();
  const pending = [...contents.pendingDeletes].filter((place) => world.isConfigured(place.split("/")[0] ?? ""));
  const scrubs = await world.scrubs();
  return [
    ...problems.map((problem) => `catalog: ${problem}`),
    ...orphans.filter((orphan) => !world.isLeaky(orphan)).map((orphan) => `nothing names the copy ${orphan} (I3)`),
    ...[...contents.repairs.keys()].map((repair) => `${STILL_TO_REPAIR}: ${describeRepair(contents, repair)}`),
    ...(await stillOpen(world)),
    ...contents.dying.map((dying) => `there is still dying: ${JSON.stringify(dying)}`),
    ...pending.map((place) => `there is still to delete: ${place}`),
    ...scrubs.flatMap(({ node, scrub, requested }) =>
      requested || scrub.pass !== undefined ? [`the scrub of ${node} goes on`] : [],
    ),
  ];
}

async function checkRedundancy(world: World): Promise<void> {
  const { contents } = await world.audit();
  for (const { blobId, slots } of liveBlobs(contents).values()) {
    for (const [number, { state, domain, location }] of slots.entries()) {
      const at = location && world.machineOf(location.nodeUuid);
      const fate = state === "ok" && location !== undefined ? at?.fateOf(location.key) : undefined;
      if (fate !== undefined && fate !== "right") {
        world.violation(
          `slot ${number} of blob ${blobId} is ok, and its copy ${location?.key} on ${at?.name} ${fate} (I3)`,
        );
      }
      if (state === "surplus") continue;
      const serves = location && world.watch.domainOf(location.nodeUuid, at);
      if (state !== "ok" || serves !== domain) {
        world.violation(`slot ${number} of blob ${blobId} is ${state} in ${serves} instead of ok in ${domain}`);
      }
    }
    const placed = slots.flatMap(({ location }) => (location === undefined ? [] : [location.nodeUuid]));
    if (new Set(placed).size !== placed.length) {
      world.violation(`two copies of blob ${blobId} are on one node`);
    }
  }
}

function describeRepair(contents: CatalogContents, repair: string): string {
  const [, blobId = "", slot] = repair.split(" ");
  return `slot ${slot} of blob ${blobId}: ${JSON.stringify(liveBlobs(contents).get(blobId)?.slots)}`;
}
