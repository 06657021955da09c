/** Which copy of a blob to read. */
import type { Random } from "../shared/random.ts";
import type { Topology, TopologyNode } from "./topology.ts";

export interface NodeLoad {
  /** Used share of the node's capacity, 0 to 1. */
  readonly diskUsage?: number | undefined;
  /** Requests under way on the node: the gateway's own live count where it has one, else the scraped one. */
  readonly inflight?: number | undefined;
  /** Requests that wait for their turn, likewise. */
  readonly waiting?: number | undefined;
}

const DISK_SHARE = 0.4;
const INFLIGHT_SHARE = 0.35;
const WAITING_SHARE = 0.25;

/** Requests under way, and waiting, from which on a node counts as fully loaded. */
const INFLIGHT_CAP = 100;
const WAITING_CAP = 50;

/** Stands for each part that is not known, so that a node of which nothing is known scores exactly this. */
const UNKNOWN = 0.5;

/**
 * A node's load from 0 (idle and empty) to 1:
 * `diskUsage * 0.4 + min(inflight / 100, 1) * 0.35 + min(waiting / 50, 1) * 0.25`. A part that is absent or no finite
 * number counts as half.
 */
export function loadScore({ diskUsage, inflight, waiting }: NodeLoad): number {
  return (
    part(diskUsage, 1) * DISK_SHARE +
    part(inflight, INFLIGHT_CAP) * INFLIGHT_SHARE +
    part(waiting, WAITING_CAP) * WAITING_SHARE
  );
}

function part(value: number | undefined, cap: number): number {
  if (value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return Math.min(1, Math.max(0, value / cap));
}

/**
 * How busy a node is, of two counts of the same thing: the gateway's own, which is of this moment, and what the node told,
 * which is up to some minutes old and counts every gateway's requests, this one's among them. They are not added up for
 * that, and the larger one is nearer to the truth: the own count misses what others do, the other one what came since.
 */
export function busier(own: number, told: number | undefined): number {
  return told === undefined ? own : Math.max(own, told);
}

/**
 * Scores that differ by less are equal. It is five hundredths of a disk, or six requests under way: less than scraped
 * figures are off by, and little enough for reads to leave a node that falls behind.
 */
export const EQUAL_WITHIN = 0.02;

export interface ReaderCandidate {
  /** See `loadScore`. */
  readonly score: number;
  /** The lower one is read where scores are equal; the same number where it does not matter. */
  readonly priority: number;
}

/**
 * The copy to read: the one with the lower score; of more than two, the better of two drawn, so that many gateways do not
 * all run to the same one. Scores that are equal (see EQUAL_WITHIN) go by priority, and where that is the same each is as
 * likely as the other. `undefined` when there is none.
 */
export function pickReader<T extends ReaderCandidate>(candidates: readonly T[], random: Random): T | undefined {
  if (candidates.length < 2) return candidates[0];
  const first = Math.floor(random.float() * candidates.length);
  // Drawn from the others, by stepping over the first one.
  const other = Math.floor(random.float() * (candidates.length - 1));
  const a = candidates[first];
  const b = candidates[other < first ? other : other + 1];
  // Both are set, since the indexes are within the list. Which of two equal ones is `a` was drawn evenly.
  if (a === undefined || b === undefined) return a ?? b;
  const difference = a.score - b.score;
  return (Math.abs(difference) >= EQUAL_WITHIN ? difference : a.priority - b.priority) <= 0 ? a : b;
}

/**
 * What decides between copies whose nodes are equally loaded: the order of the domains where domains are chosen by
 * priority (`replication.domain-choice`). Elsewhere no domain comes before the other, and reads are spread over all.
 */
export function readPriority(topology: Topology, node: Pick<TopologyNode, "domain">): number {
  if (topology.replication.domainChoice !== "priority") return 0;
  return topology.domains.findIndex((domain) => domain.name === node.domain);
}
