/** How many copies make a write durable enough to be acknowledged. */
import type { ReplicationPolicy } from "./topology.ts";

export type QuorumSetting = "auto" | "majority" | "all" | number;

/**
 * The quorum, in domains, that a setting means for a factor. `auto` is all of one or two and a majority of more.
 *
 * @throws RangeError when the factor is no whole number from 1 on, or a numeric setting is none from 1 to the factor.
 */
export function resolveQuorum(setting: QuorumSetting, factor: number): number {
  if (!Number.isInteger(factor) || factor < 1) throw new RangeError(`no replication factor: ${factor}`);
  const majority = Math.floor(factor / 2) + 1;
  switch (setting) {
    case "auto":
      return factor <= 2 ? factor : majority;
    case "majority":
      return majority;
    case "all":
      return factor;
    default:
      if (!Number.isInteger(setting) || setting < 1 || setting > factor) {
        throw new RangeError(`a quorum of ${setting} is none of 1 to ${factor}`);
      }
      return setting;
  }
}

/** One copy of a blob: a planned one, or a hand-off copy made in place of one. */
export interface CopyState {
  /** The fault domain that it lies in, or is to lie in. */
  readonly domain: string;
  readonly durable: boolean;
  readonly handoff: boolean;
}

export interface WriteState {
  readonly policy: ReplicationPolicy;
  /** For each planned slot its own copy, durable or owed, or the hand-off copy made in place of it (or both). */
  readonly copies: readonly CopyState[];
  /**
   * Whether a domain that holds no durable copy of this blob has a node that may still take one: a domain of the plan,
   * or one that hand-off copies may use. Nodes that were tried in vain are none.
   */
  readonly otherDomainsWritable: boolean;
  /**
   * How many copies the nodes that accept writes could hold together (on distinct storage, within the hand-off scope),
   * those that hold one already included.
   */
  readonly writableNodes: number;
}

/**
 * - `full`: every planned copy is durable, in as many domains as the policy's factor, and none is a hand-off copy.
 * - `quorum`: a quorum of domains holds a durable planned copy. Hand-off copies do not count for it.
 * - `degraded`: less than that, but all that can be had now and at least the policy's minimum.
 * - `no`: not to be acknowledged, or not yet.
 */
export type Acknowledgement = "full" | "quorum" | "degraded" | "no";

/** The class in which a write may be acknowledged in its present state. */
export function acknowledge(state: WriteState): Acknowledgement {
  const { policy, copies } = state;
  const domains = domainsHolding(copies.filter((copy) => !copy.handoff));
  if (domains >= policy.factor && copies.every((copy) => copy.durable && !copy.handoff)) return "full";
  if (domains >= policy.quorum) return "quorum";
  return isDegraded(state) ? "degraded" : "no";
}

function isDegraded({ policy, copies, otherDomainsWritable, writableNodes }: WriteState): boolean {
  const { enabled, handoff, minReplicas } = policy.degradedWrite;
  if (!enabled) return false;
  const durable = copies.filter((copy) => copy.durable).length;
  const possible = handoff === "none" ? 1 : Math.min(2, writableNodes);
  if (durable < Math.max(1, minReplicas, possible)) return false;
  // With hand-off copies in as many domains as a quorum asks for, waiting for more would gain nothing.
  return !otherDomainsWritable || domainsHolding(copies) >= policy.quorum;
}

function domainsHolding(copies: readonly CopyState[]): number {
  return new Set(copies.filter((copy) => copy.durable).map((copy) => copy.domain)).size;
}
