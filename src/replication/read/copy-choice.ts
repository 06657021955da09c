import { type Blob, isReadable, type Location } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import type { NodeError, StorageNode } from "../../nodes/storage-node.ts";
import { pickReader } from "../../placement/score.ts";
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

/** How often in a row copies that failed are asked again without a single block having been read meanwhile. */
const SECOND_CHANCES = 1;

/**
 * Which copy of a blob to read next: the one with the lowest load score among those that have not failed. Copies that
 * wait to be checked come after the others. Nodes are looked at afresh each time, since a long read outlives their states.
 */
export class CopyChoice {
  readonly #blob: Blob;
  readonly #members: () => Members;
  readonly #random: Random;
  readonly #failed = new Map<number, NodeError>();
  readonly #inUse = new Set<number>();
  #secondChances = SECOND_CHANCES;

  constructor(blob: Blob, members: () => Members, random: Random) {
    this.#blob = blob;
    this.#members = members;
    this.#random = random;
  }

  /** The copy to read next, in use from now on; `undefined` when there is none left. */
  take(): ReadableCopy | undefined {
    const members = this.#members();
    const picked =
      pickReader(this.#candidates(members, true), this.#random) ??
      pickReader(this.#candidates(members, false), this.#random);
    if (picked !== undefined) this.#inUse.add(picked.copy.slot);
    return picked?.copy;
  }

  /** The copy is no longer read; it may be taken again. */
  giveBack(copy: ReadableCopy): void {
    this.#inUse.delete(copy.slot);
  }

  /** The copy is no longer read, and not to be taken again but by a second chance. */
  fail(copy: ReadableCopy, error: NodeError): void {
    this.#inUse.delete(copy.slot);
    this.#failed.set(copy.slot, error);
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
    for (const [slot, error] of this.#failed) {
      if (error.temporary) given = this.#failed.delete(slot) || given;
    }
    return given;
  }

  /** All copies that there are by the record. */
  failures(): readonly FailedCopy[] {
    return this.#blob.slots.flatMap((slot, number) => {
      if (!isReadable(slot)) return [];
      const error = this.#failed.get(number);
      const copy = { slot: number, nodeUuid: slot.location.nodeUuid };
      return [error === undefined ? copy : { ...copy, error }];
    });
  }

  #candidates(members: Members, checked: boolean): { copy: ReadableCopy; score: number; priority: number }[] {
    const candidates: { copy: ReadableCopy; score: number; priority: number }[] = [];
    this.#blob.slots.forEach((slot, number) => {
      if (!isReadable(slot) || (slot.state !== "unverified") !== checked) return;
      if (this.#failed.has(number) || this.#inUse.has(number)) return;
      const { location } = slot;
      const member = members.get(location.nodeUuid);
      if (member === undefined || !members.servesReads(location.nodeUuid)) return;
      const priority = members.topology.domains.findIndex((domain) => domain.name === member.spec.domain);
      candidates.push({ copy: { slot: number, location, node: member.node }, score: member.loadScore(), priority });
    });
    return candidates;
  }
}
