/**
 * Which domains would do for a rebuild, by the names of what their nodes hold. Every commit that was acknowledged is in
 * a quorum Q of D domains, so any D - Q + 1 of them together hold it. Pure.
 */
import { Chain } from "./chain.ts";
import type { JournalName, SnapshotName } from "./journal-name.ts";
import { identityOf } from "./journal-reader.ts";
import { piecesOf } from "./retention.ts";

/** Sets of domains that are looked at; more only with dozens of domains. */
const SETS_MAX = 1_000;

export interface DomainPieces {
  readonly domain: string;
  readonly names: readonly JournalName[];
}

/** Whether a catalog made from these domains alone would have every commit up to one. */
export function suffices(
  these: readonly DomainPieces[],
  all: readonly DomainPieces[],
  durableVersion: number,
): boolean {
  const names = these.flatMap((each) => each.names);
  const chain = new Chain(
    names,
    all.flatMap((each) => each.names),
  );
  const held = new Set(names.map(identityOf));
  const isWhole = (snapshot: SnapshotName): boolean => piecesOf(snapshot).every((piece) => held.has(identityOf(piece)));
  const bases = names.flatMap((name) => (name.kind === "snapshot" && isWhole(name) ? [name.base] : []));
  return [0, ...bases].some((base) => chain.reach(base) >= durableVersion);
}

/** The sets of as many domains as a rebuild asks for that would not do. */
export function insufficientSets(all: readonly DomainPieces[], quorum: number, durableVersion: number): string[][] {
  const size = all.length - Math.min(quorum, all.length) + 1;
  const found: string[][] = [];
  let seen = 0;
  for (const set of setsOf(all, size)) {
    if (++seen > SETS_MAX) break;
    if (!suffices(set, all, durableVersion)) found.push(set.map(({ domain }) => domain));
  }
  return found;
}

function* setsOf<T>(items: readonly T[], size: number): Generator<T[]> {
  if (size === 0) yield [];
  for (const [at, item] of items.entries()) {
    if (size === 0) return;
    for (const rest of setsOf(items.slice(at + 1), size - 1)) yield [item, ...rest];
  }
}
