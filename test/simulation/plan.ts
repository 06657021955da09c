/**
 * What a case of the simulation consists of, drawn from its seed: a cluster, its conditions, and a list of steps. Every
 * step stands for itself, so that a case with some of them left out is a case again.
 */
import type { HandoffScope } from "../../src/placement/topology.ts";
import { type Chance, chance, seedOf } from "./chance.ts";
import { CALM_NETWORK, type NetworkConditions } from "./network.ts";
import { type ClusterConfig, type ClusterStep, drawCluster, drawClusterSteps } from "./plan-cluster.ts";
import { CALM_STORE, type StoreConditions } from "./store.ts";

/** The bucket of most objects. It is never deleted. */
export const STABLE = "stable-bucket";
/** A bucket that comes and goes. */
export const VOLATILE = "volatile-bucket";
export const STABLE_KEYS = ["a", "a/1", "a/2", "b/1", "b/2/x", "c", "d"] as const;
export const VOLATILE_KEYS = ["v", "v/1"] as const;
export const UPLOADS = 3;

export interface CaseConfig {
  readonly seed: number;
  readonly domains: number;
  readonly nodesPerDomain: number;
  readonly standbyNodes: number;
  readonly replicaCount: number;
  readonly factor: number;
  readonly quorum: number;
  readonly degraded: { readonly enabled: boolean; readonly minReplicas: number; readonly handoff: HandoffScope };
  readonly gateways: number;
  /** One gateway takes the place of another, or all have live sessions beside each other. */
  readonly sessions: "in turn" | "together";
  readonly clients: number;
  /** Bodies longer than this are several blobs. */
  readonly segmentBytes: number;
  /** Bodies longer than this are streamed. */
  readonly bufferBytes: number;
  /** Bodies of several blocks, and uploads of several parts. */
  readonly large: boolean;
  readonly network: NetworkConditions;
  readonly store: StoreConditions;
  /** Which there is where one gateway has the store to itself. */
  readonly journal: "off" | "sync" | "async";
  /** Wall clocks of two processes differ by as much. */
  readonly skewMsMax: number;
  readonly cluster: ClusterConfig;
}

export interface Body {
  readonly size: number;
  /** The client sends it in pieces, this far apart. */
  readonly pieceMs: number;
  /** The client breaks off. */
  readonly cut: boolean;
}

/** `etag`: the one that the client saw last under the key, or one that no object has. */
export type Condition = "none" | "if-none-match" | "if-match" | "if-match-wrong";

export type Op =
  | { readonly op: "put"; readonly path: string; readonly body: Body; readonly condition: Condition }
  | {
      readonly op: "get";
      readonly path: string;
      readonly range: readonly [number, number] | null;
      readonly holdMs: number;
    }
  | { readonly op: "head"; readonly path: string }
  | { readonly op: "delete"; readonly path: string; readonly condition: "none" | "if-match" | "if-match-wrong" }
  | { readonly op: "delete several"; readonly bucket: string; readonly keys: readonly string[] }
  | { readonly op: "copy"; readonly from: string; readonly to: string; readonly condition: Condition }
  | {
      readonly op: "list";
      readonly bucket: string;
      readonly prefix: string;
      readonly delimiter: string;
      readonly maxKeys: number;
    }
  | { readonly op: "create bucket"; readonly bucket: string }
  | { readonly op: "delete bucket"; readonly bucket: string }
  | { readonly op: "start upload"; readonly upload: number; readonly path: string }
  | { readonly op: "part"; readonly upload: number; readonly part: number; readonly body: Body }
  | {
      readonly op: "copy part";
      readonly upload: number;
      readonly part: number;
      readonly from: string;
      readonly range: readonly [number, number] | null;
    }
  | { readonly op: "complete"; readonly upload: number; readonly drop: boolean; readonly condition: Condition }
  | { readonly op: "abort"; readonly upload: number };

export type FaultStep =
  | { readonly fault: "crash"; readonly gateway: number; readonly backMs: number }
  | { readonly fault: "takeover"; readonly gateway: number; readonly zombieMs: number }
  | { readonly fault: "node off"; readonly node: number; readonly forMs: number }
  | { readonly fault: "node silent"; readonly node: number; readonly forMs: number }
  | { readonly fault: "node full"; readonly node: number; readonly forMs: number }
  | { readonly fault: "node power"; readonly node: number; readonly forMs: number }
  | { readonly fault: "power"; readonly forMs: number }
  | { readonly fault: "wipe"; readonly node: number; readonly forMs: number }
  | { readonly fault: "snapshot"; readonly node: number }
  | { readonly fault: "old state"; readonly node: number; readonly forMs: number }
  | { readonly fault: "corrupt copy"; readonly pick: number }
  | { readonly fault: "lose copy"; readonly pick: number }
  | { readonly fault: "foreign blob"; readonly node: number; readonly pick: number }
  | { readonly fault: "nodes replaced" }
  | {
      readonly fault: "lose catalog";
      readonly backMs: number;
      /** A domain that fails as well: so long before the catalog is lost, and for longer than that. */
      readonly domain: number | null;
      readonly leadMs: number;
    }
  | { readonly fault: "hurt journal"; readonly node: number; readonly pick: number }
  | { readonly fault: "scrub"; readonly pick: number }
  /** An operator changes a node: no fault, but it comes when it likes. */
  | { readonly fault: "set node"; readonly node: number; readonly weight: number; readonly acceptsWrites: boolean };

export type Step = { readonly waitMs: number } & (
  | ({ readonly client: number; readonly gateway: number } & Op)
  | FaultStep
  | ClusterStep
);

export interface Case {
  readonly config: CaseConfig;
  readonly steps: readonly Step[];
}

/** Client steps of a case. Enough for the faults to meet each other, few enough to be checked and minimized at ease. */
export const OPERATIONS_PER_CASE = 250;

const SEGMENT_BYTES = 64;
const LARGE_SEGMENT_BYTES = 600_000;
const PART_BYTES_MIN = 5 * 2 ** 20;
/** One case in as many has bodies of several blocks. */
const LARGE_EVERY = 50;

export function drawCase(seed: number, operations = OPERATIONS_PER_CASE): Case {
  const draw = chance(seedOf(seed, 0));
  const config = drawConfig(seed, draw);
  const steps: Step[] = [];
  const faultRate = draw.pick([0, 0.03, 0.06, 0.12]);
  let left = operations;
  while (left > 0) {
    // Bursts of requests, and now and then a time in which only the background works.
    const waitMs = draw.happens(0.015) ? draw.between(1_000, 25_000) : draw.between(0, draw.happens(0.3) ? 2 : 60);
    if (draw.happens(faultRate)) {
      steps.push({ waitMs: Math.round(waitMs), ...drawFault(config, draw) });
    } else {
      const who = { client: draw.below(config.clients), gateway: draw.below(config.gateways) };
      steps.push({ waitMs: Math.round(waitMs), ...who, ...drawOp(config, draw) });
      left--;
    }
  }
  return { config, steps: withClusterSteps(config, steps) };
}

function withClusterSteps(config: CaseConfig, steps: readonly Step[]): Step[] {
  const all: Step[] = [];
  let at = 0;
  for (const { before, step } of drawClusterSteps(config, steps.length)) {
    all.push(...steps.slice(at, before), step);
    at = before;
  }
  return [...all, ...steps.slice(at)];
}

function drawConfig(seed: number, draw: Chance): CaseConfig {
  const domains = 2 + draw.below(3);
  const factor = Math.min(domains, 2 + draw.below(2));
  const large = seed % LARGE_EVERY === 0;
  const gateways = draw.pick([1, 1, 2, 3]);
  const replicaCount = draw.happens(0.1) ? 2 : 1;
  const sessions = gateways > 1 && draw.happens(0.6) ? "together" : "in turn";
  const store = drawStore(draw);
  const journal = sessions === "in turn" ? draw.pick(["sync", "sync", "async", "off"] as const) : "off";
  const nodesPerDomain = replicaCount === 2 ? 2 : 1 + draw.below(2);
  const standbyNodes = draw.below(2);
  return {
    seed,
    domains,
    nodesPerDomain,
    standbyNodes,
    replicaCount,
    factor,
    quorum: factor === 2 ? draw.pick([2, 2, 2, 1]) : draw.pick([2, 2, 3, 1]),
    degraded: {
      enabled: draw.happens(0.5),
      minReplicas: draw.happens(0.8) ? 1 : 2,
      handoff: draw.pick(["any", "any", "active", "none"] as const),
    },
    gateways,
    sessions,
    clients: 2 + draw.below(5),
    segmentBytes: large ? LARGE_SEGMENT_BYTES : SEGMENT_BYTES,
    bufferBytes: large ? 2 * 262_144 : draw.pick([16, 1_000]),
    large,
    network: drawNetwork(draw),
    // A store with a journal is in the same process.
    store: journal === "off" ? store : { ...store, lateCommit: 0 },
    journal,
    skewMsMax: draw.pick([0, 0, 1_000]),
    cluster: drawCluster({ seed, domains, nodesPerDomain, standbyNodes, gateways, sessions, journal }),
  };
}

function drawNetwork(draw: Chance): NetworkConditions {
  if (draw.happens(0.2)) return { ...CALM_NETWORK, latencyMsMax: draw.pick([2, 20]) };
  const rate = (most: number): number => (draw.happens(0.5) ? 0 : draw.between(0, most));
  return {
    latencyMsMax: draw.pick([2, 10, 30]),
    slow: rate(0.05),
    lostRequest: rate(0.03),
    lostAnswer: rate(0.03),
    repeated: rate(0.05),
    late: rate(0.03),
    brokenStream: rate(0.02),
    stalledStream: rate(0.01),
    flippedBit: rate(0.01),
  };
}

function drawStore(draw: Chance): StoreConditions {
  if (draw.happens(0.4)) return { ...CALM_STORE, latencyMsMax: draw.pick([1, 5]) };
  return {
    latencyMsMax: draw.pick([1, 5, 20]),
    unavailable: draw.happens(0.5) ? 0 : 0.002,
    unknownOutcome: draw.happens(0.4) ? 0 : draw.between(0, 0.03),
    lateCommit: draw.happens(0.6) ? 0 : draw.between(0, 0.01),
  };
}

const OPERATIONS: Readonly<Record<Op["op"], number>> = {
  put: 28,
  get: 24,
  head: 4,
  delete: 10,
  "delete several": 2,
  copy: 8,
  list: 7,
  "create bucket": 1.2,
  "delete bucket": 1.2,
  "start upload": 2,
  part: 5,
  "copy part": 2,
  complete: 3,
  abort: 0.6,
};

function drawOp(config: CaseConfig, draw: Chance): Op {
  const path = (): string =>
    draw.happens(0.15) ? `${VOLATILE}/${draw.pick(VOLATILE_KEYS)}` : `${STABLE}/${draw.pick(STABLE_KEYS)}`;
  const bucket = (): string => (draw.happens(0.2) ? VOLATILE : STABLE);
  const condition = (): Condition =>
    draw.weighted({ none: 6, "if-none-match": 2, "if-match": 2, "if-match-wrong": 0.3 });
  const range = (): readonly [number, number] | null =>
    draw.happens(0.6) ? null : [draw.between(0, 0.9), draw.between(0.1, 1)];
  const op = draw.weighted(OPERATIONS);
  switch (op) {
    case "put":
      return { op, path: path(), body: drawBody(config, draw), condition: condition() };
    case "get":
      return { op, path: path(), range: range(), holdMs: draw.happens(0.25) ? Math.round(draw.between(0, 15_000)) : 0 };
    case "head":
      return { op, path: path() };
    case "delete":
      return { op, path: path(), condition: draw.weighted({ none: 6, "if-match": 2, "if-match-wrong": 0.3 }) };
    case "delete several": {
      const inBucket = bucket();
      const keys = inBucket === STABLE ? STABLE_KEYS : VOLATILE_KEYS;
      return { op, bucket: inBucket, keys: keys.filter(() => draw.happens(0.4)) };
    }
    case "copy":
      return { op, from: path(), to: path(), condition: condition() };
    case "list":
      return {
        op,
        bucket: bucket(),
        prefix: draw.pick(["", "", "a", "a/", "b/"]),
        delimiter: draw.pick(["", "", "/"]),
        maxKeys: draw.pick([1, 2, 3, 1_000]),
      };
    case "create bucket":
    case "delete bucket":
      return { op, bucket: VOLATILE };
    case "start upload":
      return { op, upload: draw.below(UPLOADS), path: `${STABLE}/${draw.pick(STABLE_KEYS)}` };
    case "part":
      return { op, upload: draw.below(UPLOADS), part: 1 + draw.below(3), body: drawPart(config, draw) };
    case "copy part":
      return { op, upload: draw.below(UPLOADS), part: 1 + draw.below(3), from: path(), range: range() };
    case "complete":
      return { op, upload: draw.below(UPLOADS), drop: draw.happens(0.3), condition: condition() };
    case "abort":
      return { op, upload: draw.below(UPLOADS) };
  }
}

function drawBody({ large, segmentBytes }: CaseConfig, draw: Chance): Body {
  const size = large
    ? draw.weighted({ empty: 1, small: 8, block: 2, segments: 1 })
    : draw.weighted({ empty: 1, small: 6, segments: 4 });
  const sizes = {
    empty: 0,
    small: 1 + draw.below(40),
    block: 262_144 - 2 + draw.below(5),
    segments: segmentBytes - 1 + draw.below(Math.round(2.2 * segmentBytes)),
  };
  return {
    size: sizes[size],
    pieceMs: draw.happens(0.1) ? Math.round(draw.between(1, draw.happens(0.2) ? 6_000 : 200)) : 0,
    cut: draw.happens(0.02),
  };
}

function drawPart(config: CaseConfig, draw: Chance): Body {
  const body = drawBody(config, draw);
  return config.large && draw.happens(0.5) ? { ...body, size: PART_BYTES_MIN + draw.below(1_000), pieceMs: 0 } : body;
}

const FAULTS: Readonly<Record<FaultStep["fault"], number>> = {
  crash: 14,
  takeover: 7,
  "node off": 12,
  "node silent": 5,
  "node full": 4,
  "node power": 8,
  power: 4,
  wipe: 4,
  snapshot: 3,
  "old state": 3,
  "corrupt copy": 14,
  "lose copy": 6,
  "foreign blob": 2,
  "nodes replaced": 2,
  "lose catalog": 8,
  "hurt journal": 4,
  scrub: 3,
  "set node": 6,
};

function drawFault(config: CaseConfig, draw: Chance): FaultStep {
  const node = draw.below(config.domains * config.nodesPerDomain + config.standbyNodes);
  const forMs = Math.round(draw.happens(0.2) ? draw.between(5_000, 40_000) : draw.between(50, 3_000));
  const fault = draw.weighted(FAULTS);
  switch (fault) {
    case "crash":
      return { fault, gateway: draw.below(config.gateways), backMs: Math.round(draw.between(0, 1_500)) };
    case "takeover":
      return { fault, gateway: draw.below(config.gateways), zombieMs: Math.round(draw.between(10, 25_000)) };
    case "snapshot":
      return { fault, node };
    case "node off":
    case "node silent":
    case "node full":
    case "node power":
    case "wipe":
    case "old state":
      return { fault, node, forMs };
    case "power":
      return { fault, forMs: Math.round(draw.between(10, 2_000)) };
    case "lose catalog":
      return {
        fault,
        backMs: Math.round(draw.between(0, 3_000)),
        domain: draw.happens(0.5) ? draw.below(config.domains) : null,
        leadMs: Math.round(draw.between(0, draw.happens(0.5) ? 100 : 15_000)),
      };
    case "set node":
      return { fault, node, weight: draw.pick([0, 10, 100, 300]), acceptsWrites: draw.happens(0.7) };
    case "hurt journal":
      return { fault, node, pick: draw.below(1_000_000) };
    case "corrupt copy":
    case "lose copy":
    case "scrub":
      return { fault, pick: draw.below(1_000_000) };
    case "foreign blob":
      return { fault, node, pick: draw.below(1_000_000) };
    case "nodes replaced":
      return { fault };
  }
}
