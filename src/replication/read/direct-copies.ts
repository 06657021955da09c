/**
 * Which copy of a blob others may read from its node themselves. The node is asked for the copy first: whoever is sent
 * there finds what he was told of, as far as anybody can know.
 */
import { type Blob, isReadable, type Location } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import type { DirectNode } from "../../nodes/s3/direct-node.ts";
import { NodeError, type ServedAs, type StorageNode } from "../../nodes/storage-node.ts";
import { pickReader } from "../../placement/score.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";

/** Nodes asked for one URL. */
const NODES_ASKED_MAX = 2;

export interface DirectCopy {
  readonly nodeName: string;
  readonly location: Location;
  readonly direct: DirectNode;
  readonly served: ServedAs;
}

export interface DirectCopiesDeps {
  readonly members: () => Members;
  /** By which address others reach a node; undefined for nodes that are not reached like that (volumes). */
  readonly directOf: (nodeUuid: Id) => DirectNode | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

export interface DirectWish {
  /** Only nodes whose endpoint for others was named. */
  readonly externalOnly: boolean;
  /** Only this node. */
  readonly nodeName?: string;
  /** A node that does not answer for its copy within this is left for another one. */
  readonly timeoutMs: number;
}

interface Candidate {
  readonly copy: Omit<DirectCopy, "served">;
  readonly node: StorageNode;
  readonly score: number;
  readonly priority: number;
}

export class DirectCopies {
  readonly #deps: DirectCopiesDeps;

  constructor(deps: DirectCopiesDeps) {
    this.#deps = deps;
  }

  /** The copy on the node with the lowest load score; `undefined` where none can be read like that now. */
  async find(blob: Blob, wish: DirectWish): Promise<DirectCopy | undefined> {
    let candidates = this.#candidates(blob, wish);
    for (let asked = 0; asked < NODES_ASKED_MAX; asked++) {
      const picked = pickReader(candidates, this.#deps.random);
      if (picked === undefined) return undefined;
      const served = await this.#serve(blob, picked, wish.timeoutMs);
      if (served !== undefined) return { ...picked.copy, served };
      candidates = candidates.filter((candidate) => candidate !== picked);
    }
    return undefined;
  }

  /** Copies that are on record as right, on nodes that serve reads. */
  #candidates(blob: Blob, { externalOnly, nodeName }: DirectWish): Candidate[] {
    const members = this.#deps.members();
    return blob.slots.flatMap((slot): Candidate[] => {
      if (!isReadable(slot) || slot.state === "unverified") return [];
      const { location } = slot;
      const member = members.get(location.nodeUuid);
      if (member === undefined || !members.servesReads(location.nodeUuid)) return [];
      const { name, domain } = member.spec;
      const direct = this.#deps.directOf(location.nodeUuid);
      if (direct === undefined || (externalOnly && !direct.external)) return [];
      if (nodeName !== undefined && name !== nodeName) return [];
      const priority = members.topology.domains.findIndex((candidate) => candidate.name === domain);
      const copy = { nodeName: name, location, direct };
      return [{ copy, node: member.node, score: member.loadScore(), priority }];
    });
  }

  /** What the node says of the copy; `undefined` where it has none, another one, or does not answer. */
  async #serve(blob: Blob, { copy, node }: Candidate, timeoutMs: number): Promise<ServedAs | undefined> {
    const abort = new AbortController();
    const timer = this.#deps.clock.startTimer(timeoutMs, () => abort.abort());
    try {
      const stat = await node.head(copy.location.key, abort.signal);
      if (stat === undefined || stat.length !== blob.length || stat.blobId !== blob.blobId) return undefined;
      return stat.served;
    } catch (error) {
      // A copy that cannot be read like that is read as any other, and whatever is the matter comes out there.
      if (error instanceof NodeError) return undefined;
      throw error;
    } finally {
      timer.stop();
    }
  }
}
