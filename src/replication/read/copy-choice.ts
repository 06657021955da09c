import { type Blob, isReadable, type Location, type Slot } from "../../catalog/records/blob.ts";
import type { Members, ReadPreference } from "../../cluster/members.ts";
import type { NodeError, StorageNode } from "../../nodes/storage-node.ts";
import { pickReader, readPriority } from "../../placement/score.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";

/** A copy that may be read. */
export interface ReadableCopy {
  readonly slot: number;
  readonly location: Location;
  readonly node: StorageNode;
}

/** What became of a copy that could not be read. */
export interface FailedCopy {
  readonly slot: number;
  readonly nodeUuid: Id;
  /** Its last failure; absent when it was not asked, because its node serves no reads now. */
  readonly error?: NodeError;
}

interface Candidate {
  readonly copy: ReadableCopy;
  readonly score: number;
  readonly priority: number;
  readonly preference: ReadPreference;
}

/** How often in a row copies that failed are asked again without a single block having been read meanwhile. */
const SECOND_CHANCES = 1;

/** A failure, and the block that was asked for. */
interface Failure {
  readonly error: NodeError;
  readonly block: number;
}

/** In which order copies are asked; within a rank the load decides. */
const RANKS = ["good", "unverified", "suspect"] as const;
type Rank = (typeof RANKS)[number];

/**
 * Which copy of a blob to read a block from: the one with the lowest load score among those that have not failed. Copies
 * that wait to be checked come after the others, and within either those whose node is not quite well. Last come copies that are known to be damaged, or in which this very
 * read found another block to be: one bad block says nothing of the others, and none is forwarded unverified. Nodes are
 * looked at afresh each time, since a long read outlives their states.
 */
export class CopyChoice {
  readonly #blob: Blob;
  readonly #members: () => Members;
  readonly #random: Random;
  readonly #failed = new Map<number, Failure>();
  readonly #inUse = new Set<number>();
  #secondChances = SECOND_CHANCES;

  constructor(blob: Blob, members: () => Members, random: Random) {
    this.#blob = blob;
    this.#members = members;
    this.#random = random;
  }

  /** The copy to read a block from, in use from now on; `undefined` when there is none left. */
  take(block: number): ReadableCopy | undefined {
    const members = this.#members();
    for (const rank of RANKS) {
      const candidates = this.#candidates(members, rank, block);
      const usual = candidates.filter(({ preference }) => preference === 0);
      const picked = pickReader(usual.length > 0 ? usual : candidates, this.#random);
      if (picked === undefined) continue;
      this.#inUse.add(picked.copy.slot);
      return picked.copy;
    }
    return undefined;
  }

  /** The copy is no longer read; it may be taken again. */
  giveBack(copy: ReadableCopy): void {
    this.#inUse.delete(copy.slot);
  }

  /** The copy is no longer read, and not to be taken again but by a second chance. */
  fail(copy: ReadableCopy, failure: Failure): void {
    this.#inUse.delete(copy.slot);
    this.#failed.set(copy.slot, failure);
  }

  /** A block was read. */
  progressed(): void {
    this.#secondChances = SECOND_CHANCES;
  }

  /** Whether copies may be taken again that failed in a way that may have passed. */
  giveSecondChance(): boolean {
    if (this.#secondChances === 0) return false;
    this.#secondChances -= 1;
    let given = false;
    for (const [slot, { error }] of this.#failed) {
      if (error.temporary) given = this.#failed.delete(slot) || given;
    }
    return given;
  }

  /** All copies that there are by the record. */
  failures(): readonly FailedCopy[] {
    return this.#blob.slots.flatMap((slot, number) => {
      if (slot.location === undefined) return [];
      const error = this.#failed.get(number)?.error;
      const copy = { slot: number, nodeUuid: slot.location.nodeUuid };
      return [error === undefined ? copy : { ...copy, error }];
    });
  }

  #rankOf(slot: Slot, number: number, block: number): Rank | undefined {
    const failure = this.#failed.get(number);
    if (failure !== undefined)
      return failure.error.kind === "corrupt" && failure.block !== block ? "suspect" : undefined;
    if (!isReadable(slot)) return "suspect";
    return slot.state === "unverified" ? "unverified" : "good";
  }

  #candidates(members: Members, rank: Rank, block: number): Candidate[] {
    const candidates: Candidate[] = [];
    this.#blob.slots.forEach((slot, number) => {
      const { location } = slot;
      if (location === undefined || this.#inUse.has(number) || this.#rankOf(slot, number, block) !== rank) return;
      const member = members.get(location.nodeUuid);
      if (member === undefined || !members.servesReads(location.nodeUuid)) return;
      const priority = readPriority(members.topology, member.spec);
      const preference = members.preference(location.nodeUuid);
      const copy = { slot: number, location, node: member.node };
      candidates.push({ copy, score: member.loadScore(), priority, preference });
    });
    return candidates;
  }
}
