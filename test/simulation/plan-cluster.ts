/**
 * What befalls the cluster as a whole, beside the faults of plan.ts: who leads, who is healthy, who is promoted, what
 * operators do. It has choices of its own, so that the other steps of a case are what they are without it.
 */
import type { PromotionLimits } from "../../src/cluster/promotion/plan-promotion.ts";
import { type Chance, chance, seedOf } from "./chance.ts";
import { CALM_COORDINATOR, type CoordinatorConditions } from "./coordinator.ts";

export interface ClusterConfig {
  readonly coordinator: CoordinatorConditions;
  /** How fast the coordinator's clock runs. */
  readonly coordinatorRate: number;
  /** Of every active domain. */
  readonly minNodes: number;
  readonly promotion: PromotionLimits;
  readonly decommission: boolean;
  readonly cleanupSource: boolean;
}

export type ClusterStep =
  | { readonly fault: "node away"; readonly node: number; readonly forMs: number }
  /** One gateway cannot reach a node. */
  | { readonly fault: "cut"; readonly place: number; readonly node: number; readonly forMs: number }
  | { readonly fault: "coordinator frozen"; readonly forMs: number }
  | { readonly fault: "coordinator emptied" }
  | { readonly fault: "drain node"; readonly gateway: number; readonly node: number }
  | { readonly fault: "drain domain"; readonly gateway: number; readonly domain: number; readonly to: number }
  | { readonly fault: "rebalance node"; readonly gateway: number; readonly node: number }
  | { readonly fault: "rebalance domain"; readonly gateway: number; readonly domain: number }
  | { readonly fault: "migrate"; readonly gateway: number; readonly node: number }
  | {
      readonly fault: "change job";
      readonly gateway: number;
      readonly act: "cancel" | "pause" | "resume";
      readonly pick: number;
    }
  | { readonly fault: "add node"; readonly gateway: number; readonly domain: number }
  | { readonly fault: "remove node"; readonly gateway: number; readonly pick: number }
  | { readonly fault: "set policy"; readonly gateway: number; readonly factor: number; readonly quorum: number }
  | { readonly fault: "promote"; readonly gateway: number; readonly domain: number }
  | { readonly fault: "demote"; readonly gateway: number; readonly pick: number };

/** What of a case is drawn before it, and bounds what befalls the cluster. */
export interface ClusterShape {
  readonly seed: number;
  readonly domains: number;
  readonly nodesPerDomain: number;
  readonly standbyNodes: number;
  readonly gateways: number;
  readonly sessions: "in turn" | "together";
  readonly journal: "off" | "sync" | "async";
}

const STREAM = 10;
/** Steps of a case that has any. */
const STEPS_MAX = 8;

export function drawCluster(shape: ClusterShape): ClusterConfig {
  const draw = chance(seedOf(shape.seed, STREAM));
  const calm = draw.happens(0.4);
  const lossy = (most: number): number => (draw.happens(0.5) ? 0 : draw.between(0, most));
  return {
    coordinator: calm ? CALM_COORDINATOR : { latencyMsMax: 20, lostRequest: lossy(0.1), lostAnswer: lossy(0.1) },
    coordinatorRate: draw.pick([1, 1, 0.9, 1.15]),
    // How the journal's places follow a promotion is not told to the rebuild of the simulation.
    minNodes: shape.journal === "off" ? draw.pick([shape.nodesPerDomain, shape.nodesPerDomain, 1]) : 0,
    promotion: {
      hysteresisMs: draw.pick([0, 4_000, 12_000]),
      coolDownMs: draw.pick([10_000, 30_000]),
      autoDemote: draw.happens(0.5),
    },
    decommission: draw.happens(0.6),
    cleanupSource: draw.happens(0.5),
  };
}

const STEPS: Readonly<Record<ClusterStep["fault"], number>> = {
  "node away": 10,
  cut: 3,
  "coordinator frozen": 3,
  "coordinator emptied": 4,
  "drain node": 6,
  "drain domain": 3,
  "rebalance node": 4,
  "rebalance domain": 3,
  migrate: 2,
  "change job": 5,
  "add node": 4,
  "remove node": 5,
  "set policy": 3,
  promote: 2,
  demote: 3,
};

/** Steps that change which nodes and domains the journal has to be on: see drawCluster. */
const NOT_WITH_A_JOURNAL: ReadonlySet<ClusterStep["fault"]> = new Set([
  "drain domain",
  "add node",
  "remove node",
  "set policy",
  "promote",
  "demote",
]);

interface PlacedStep {
  readonly before: number;
  readonly step: ClusterStep & { readonly waitMs: number };
}

/** The steps, and before which step of the others each is taken. */
export function drawClusterSteps(shape: ClusterShape, others: number): PlacedStep[] {
  const often = drawTroubles(shape, others);
  const draw = chance(seedOf(shape.seed, STREAM + 1));
  if (draw.happens(0.4)) return often;
  const steps = Array.from({ length: 1 + draw.below(STEPS_MAX) }, () => {
    const waitMs = Math.round(draw.happens(0.4) ? draw.between(2_000, 30_000) : draw.between(0, 500));
    const step = drawStep(shape, draw);
    return { before: draw.below(others + 1), step: { waitMs, ...step } };
  });
  return [...often, ...steps]
    .filter(({ step }) => shape.journal === "off" || !NOT_WITH_A_JOURNAL.has(step.fault))
    .sort((a, b) => a.before - b.before);
}

/** What has to come often for the rest to matter: two leaders at once, and nodes that come and go while others stand by. */
function drawTroubles(shape: ClusterShape, others: number): PlacedStep[] {
  const draw = chance(seedOf(shape.seed, STREAM + 2));
  const steps: PlacedStep[] = [];
  if (shape.sessions === "together" && draw.happens(0.5)) {
    for (let left = 1 + draw.below(4); left > 0; left--) {
      const waitMs = Math.round(draw.between(0, 4_000));
      steps.push({ before: draw.below(others + 1), step: { waitMs, fault: "coordinator emptied" } });
    }
  }
  if (shape.standbyNodes > 0 && draw.happens(0.3)) {
    const node = draw.below(shape.domains * shape.nodesPerDomain);
    for (let left = 1 + draw.below(3); left > 0; left--) {
      const waitMs = Math.round(draw.between(10_000, 30_000));
      const forMs = Math.round(draw.between(13_000, 24_000));
      steps.push({ before: draw.below(others + 1), step: { waitMs, fault: "node away", node, forMs } });
    }
  }
  return steps.sort((a, b) => a.before - b.before);
}

function drawStep(shape: ClusterShape, draw: Chance): ClusterStep {
  const node = draw.below(shape.domains * shape.nodesPerDomain + shape.standbyNodes);
  const gateway = draw.below(shape.gateways);
  const domain = draw.below(shape.domains);
  const pick = draw.below(1_000_000);
  const fault = draw.weighted(STEPS);
  switch (fault) {
    case "node away":
      return { fault, node, forMs: Math.round(draw.between(15_000, draw.happens(0.5) ? 40_000 : 150_000)) };
    case "cut":
      return { fault, place: gateway, node, forMs: Math.round(draw.between(10_000, 80_000)) };
    case "coordinator frozen":
      return { fault, forMs: Math.round(draw.between(500, 30_000)) };
    case "coordinator emptied":
      return { fault };
    case "drain node":
    case "rebalance node":
    case "migrate":
      return { fault, gateway, node };
    case "drain domain":
      return { fault, gateway, domain, to: (domain + 1 + draw.below(Math.max(1, shape.domains - 1))) % shape.domains };
    case "rebalance domain":
    case "add node":
    case "promote":
      return { fault, gateway, domain };
    case "change job":
      return { fault, gateway, act: draw.pick(["cancel", "pause", "resume"] as const), pick };
    case "remove node":
    case "demote":
      return { fault, gateway, pick };
    case "set policy": {
      const factor = 1 + draw.below(shape.domains);
      return { fault, gateway, factor, quorum: 1 + draw.below(factor) };
    }
  }
}
