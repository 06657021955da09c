/**
 * What of the journal is kept, and what of it a domain has: worked out from the names of the pieces that each node holds.
 */
import { Chain, type Gap } from "./chain.ts";
import type { HeldCopy, Holdings } from "./holdings.ts";
import type { ChunkName, JournalName, SegmentName, SnapshotName } from "./journal-name.ts";
import type { HeldPiece, JournalCluster } from "./journal-nodes.ts";
import { chunkOf, identityOf } from "./journal-reader.ts";

/** Snapshots that are kept, and the journal behind the older of them: one may turn out to be unreadable. */
const SNAPSHOTS_KEPT = 2;

/** A picture of what the nodes hold, at one moment. */
export class Retention {
  readonly held: readonly HeldCopy[];
  /** Of all nodes. */
  readonly chain: Chain;
  /** The newest snapshots that a quorum of domains holds whole, the newest first. */
  readonly snapshots: readonly SnapshotName[];
  /** The newest that any domain holds whole. */
  readonly newest: SnapshotName | undefined;
  /** Every commit after this one is kept. */
  readonly floor: number;
  readonly #newestFirst: readonly SnapshotName[];
  readonly #names: readonly JournalName[];
  readonly #identities = new Map<string, Set<string>>();

  constructor(cluster: JournalCluster, holdings: Holdings) {
    this.held = [...holdings.among(cluster.nodes())];
    this.#names = this.held.map(({ piece }) => piece.name);
    this.chain = new Chain(this.#names);
    for (const { holder, piece } of this.held) {
      const identities = this.#identities.get(holder.domain) ?? new Set();
      this.#identities.set(holder.domain, identities.add(identityOf(piece.name)));
    }
    // A domain of which nothing is known, because its nodes are lost or were away all the time, has no say.
    const known = new Set(cluster.nodes().flatMap(({ uuid, domain }) => (holdings.knows(uuid) ? [domain] : [])));
    const domains = cluster.domains().filter((domain) => known.has(domain));
    const quorum = Math.min(cluster.quorum(), domains.length);
    const all = new Map(this.#names.flatMap((name) => (name.kind === "snapshot" ? [[identityOf(name), name]] : [])));
    this.#newestFirst = [...all.values()].sort((a, b) => b.base - a.base || b.session - a.session);
    const holders = (name: SnapshotName): number =>
      domains.filter((domain) => piecesOf(name).every((piece) => this.holds(domain, piece))).length;
    this.snapshots = this.#newestFirst.filter((name) => holders(name) >= quorum).slice(0, SNAPSHOTS_KEPT);
    this.newest = this.#newestFirst.find((name) => holders(name) > 0);
    // With one snapshot alone nothing goes yet, though what lies before it is not wanted.
    this.floor = this.snapshots.at(-1)?.base ?? 0;
  }

  /** Whether a node of the domain holds the piece. */
  holds(domain: string, name: JournalName): boolean {
    return this.#identities.get(domain)?.has(identityOf(name)) === true;
  }

  /** The segments of a domain's nodes. */
  chainIn(domain: string): Chain {
    const names = this.held.filter(({ holder }) => holder.domain === domain).map(({ piece }) => piece.name);
    return new Chain(names, this.#names);
  }

  /** The last commit to which a domain's nodes have everything that is kept, or that follows a snapshot that they have. */
  reachIn(domain: string): number {
    const chain = this.chainIn(domain);
    const bases = this.#wholeSnapshotsIn(domain).map(({ base }) => base);
    return Math.max(chain.reach(this.floor), ...bases.map((base) => chain.reach(base)));
  }

  #wholeSnapshotsIn(domain: string): SnapshotName[] {
    return this.#newestFirst.filter((name) => piecesOf(name).every((piece) => this.holds(domain, piece)));
  }

  /** The last commit to which the pieces of all nodes together reach from what is kept. */
  get reach(): number {
    return this.chain.reach(this.snapshots[0]?.base ?? 0);
  }

  /** Commits after what is kept, up to one, that no node holds. */
  gaps(through: number): Gap[] {
    return this.chain.gaps(this.floor, through);
  }

  /**
   * After which commit segments are kept: those behind the floor that the slowest consumer of the changes has still to
   * read, the newest of them first.
   * @param cursor the last commit that it has read
   * @param bytesMax of one copy of each of them
   */
  keptAfter(cursor: number, bytesMax: number): number {
    const behind = new Map<string, HeldPiece>();
    for (const { piece } of this.held) {
      const { name } = piece;
      if (name.kind === "segment" && name.through > cursor && name.through <= this.floor)
        behind.set(identityOf(name), piece);
    }
    let bytes = 0;
    for (const { name, bytes: own } of [...behind.values()].sort((a, b) => throughOf(b) - throughOf(a))) {
      bytes += own;
      if (bytes > bytesMax) return throughOf({ name });
    }
    return Math.min(cursor, this.floor);
  }

  /**
   * Pieces that are not wanted any more: behind the older of the kept snapshots, chunks of a snapshot that came to nothing, and segments that are
   * a part of a longer one in the same domain.
   * @param making the base of a snapshot that is being made
   * @param keptAfter segments after this commit are kept even behind the snapshots
   */
  superfluous(making: number | undefined, keptAfter = this.floor): HeldCopy[] {
    const kept = new Set(this.snapshots.flatMap(piecesOf).map(identityOf));
    const listed = new Set(this.#names.flatMap((name) => (name.kind === "snapshot" ? [attemptOf(name)] : [])));
    const enough = this.snapshots.length >= SNAPSHOTS_KEPT;
    const longer = this.#contained();
    return this.held.filter((one) => {
      const { name } = one.piece;
      if (name.kind === "segment") return (enough && name.through <= keptAfter) || longer.has(one);
      if (kept.has(identityOf(name)) || name.base === making) return false;
      // Chunks without a list are of a snapshot that came to nothing.
      return (enough && name.base < this.floor) || !listed.has(attemptOf(name));
    });
  }

  /** Segments that lie within a longer one of the same session in the same domain. */
  #contained(): Set<HeldCopy> {
    const contained = new Set<HeldCopy>();
    const longest = new Map<string, SegmentName>();
    const ordered = this.held
      .filter((one): one is HeldCopy & { piece: { name: SegmentName } } => one.piece.name.kind === "segment")
      .sort((a, b) => a.piece.name.from - b.piece.name.from || b.piece.name.through - a.piece.name.through);
    for (const one of ordered) {
      const { name } = one.piece;
      const lane = `${one.holder.domain} ${name.session}`;
      const before = longest.get(lane);
      if (before === undefined || name.through > before.through) longest.set(lane, name);
      else if (name.from !== before.from || name.through !== before.through) contained.add(one);
    }
    return contained;
  }
}

function throughOf({ name }: Pick<HeldPiece, "name">): number {
  return name.kind === "segment" ? name.through : name.base;
}

/** The same for all pieces of a snapshot, and for no others. */
function attemptOf({ base, session }: ChunkName | SnapshotName): string {
  return `${base} ${session}`;
}

/** All pieces of a snapshot, its list last. */
export function piecesOf(name: SnapshotName): JournalName[] {
  const chunks = Array.from({ length: name.chunks }, (_, number) => chunkOf(name, number));
  return [...chunks, name];
}
