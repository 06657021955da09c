/**
 * Puts a piece of the journal on nodes of the domains that hold everything, and says when it is durable on enough.
 */
import { type CopyKey, NodeError } from "../../nodes/storage-node.ts";
import type { Id } from "../../shared/ids.ts";
import type { Random } from "../../shared/random.ts";
import type { Holdings } from "./holdings.ts";
import { type JournalName, journalKey } from "./journal-name.ts";
import { type JournalCluster, type JournalNode, writePiece } from "./journal-nodes.ts";

export class NotDurableError extends Error {
  readonly causes: readonly Error[];
  constructor(causes: readonly Error[]) {
    super("too few nodes took a piece of the journal");
    this.name = "NotDurableError";
    this.causes = causes;
  }
}

export interface PieceWriterDeps {
  readonly cluster: JournalCluster;
  readonly holdings: Holdings;
  readonly random: Random;
}

/** Where a piece is durable so far. */
export interface Written {
  readonly domains: ReadonlySet<string>;
  readonly nodes: ReadonlySet<Id>;
}

export class PieceWriter {
  readonly #deps: PieceWriterDeps;
  /** By domain: the node that took the last piece, which is asked first. */
  readonly #preferred = new Map<string, Id>();

  constructor(deps: PieceWriterDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves as soon as the piece is durable in a quorum of domains, or, where degraded writes are allowed, on as many
   * nodes as take it while the other domains have none that does: two, if there are two. What is still on its way goes
   * on to its end.
   * @param took told of each domain in which it became durable; whether that domain counts
   * @throws NotDurableError
   */
  async write(name: JournalName, bytes: Buffer, took?: (domain: string) => boolean): Promise<Written> {
    const { cluster } = this.#deps;
    const attempt = new Attempt(name, bytes, took);
    const quorum = Math.min(cluster.quorum(), cluster.domains().length);
    const under = cluster.domains().map((domain) => this.#writeInDomain(attempt, domain));
    const settled = Promise.allSettled(under);
    const enough = new Promise<void>((resolve) => {
      const look = (): void => {
        if (attempt.domains.size >= quorum) resolve();
      };
      for (const one of under) one.then(look, look);
    });
    await Promise.race([enough, settled]);
    if (attempt.domains.size >= quorum) return attempt;
    if (cluster.degraded()) {
      await this.#writeStandIns(attempt, Math.min(2, quorum));
      if (attempt.nodes.size > 0) return attempt;
    }
    throw new NotDurableError(attempt.failures);
  }

  /** One more copy on a node of a domain that lacks it; whether it got one. */
  async writeTo(domain: string, name: JournalName, bytes: Buffer): Promise<boolean> {
    return this.#writeInDomain(new Attempt(name, bytes), domain);
  }

  /** On the first node of the domain that takes it. */
  async #writeInDomain(attempt: Attempt, domain: string): Promise<boolean> {
    const nodes = this.#deps.cluster.nodes().filter((node) => node.domain === domain && node.takesWrites());
    const preferred = this.#preferred.get(domain);
    nodes.sort((a, b) => Number(b.uuid === preferred) - Number(a.uuid === preferred));
    for (const node of nodes) {
      if (!(await this.#writeOn(attempt, node))) continue;
      this.#preferred.set(domain, node.uuid);
      if (attempt.took(domain)) attempt.domains.add(domain);
      return true;
    }
    return false;
  }

  /** On other nodes, active ones first, until `wanted` nodes have it. */
  async #writeStandIns(attempt: Attempt, wanted: number): Promise<void> {
    const nodes = this.#deps.cluster.nodes().toSorted((a, b) => Number(b.active) - Number(a.active));
    for (const node of nodes) {
      if (attempt.nodes.size >= wanted) return;
      if (node.takesWrites() && !attempt.tried.has(node.uuid)) await this.#writeOn(attempt, node);
    }
  }

  async #writeOn(attempt: Attempt, { uuid, node }: JournalNode): Promise<boolean> {
    const { cluster, holdings, random } = this.#deps;
    const key: CopyKey = journalKey(attempt.name, random);
    attempt.tried.add(uuid);
    try {
      await writePiece(node, { key, clusterId: cluster.clusterId, bytes: attempt.bytes });
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      attempt.failures.push(error);
      return false;
    }
    holdings.add(uuid, { key, name: attempt.name, bytes: attempt.bytes.length });
    attempt.nodes.add(uuid);
    return true;
  }
}

class Attempt implements Written {
  readonly name: JournalName;
  readonly bytes: Buffer;
  readonly domains = new Set<string>();
  readonly nodes = new Set<Id>();
  readonly tried = new Set<Id>();
  readonly failures: Error[] = [];
  readonly took: (domain: string) => boolean;

  constructor(name: JournalName, bytes: Buffer, took: (domain: string) => boolean = () => true) {
    this.name = name;
    this.bytes = bytes;
    this.took = took;
  }
}
