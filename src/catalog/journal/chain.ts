/**
 * Which segment holds a commit. Pure.
 *
 * Every process of the gateway writes segments under a session of its own, and each begins where the catalog that it
 * opened ended. So where a later session has begun, whatever an earlier one wrote from there on never came to be: it was
 * not acknowledged, or was given up when the catalog was rebuilt without it.
 */
import type { JournalName, SegmentName } from "./journal-name.ts";

interface Stretch {
  readonly name: SegmentName;
  /** The last commit of it that came to be. */
  readonly through: number;
}

/** Commits that nothing holds: `from` to `through`, both included. */
export interface Gap {
  readonly from: number;
  readonly through: number;
}

export class Chain {
  /** By their first commit. */
  readonly #stretches: readonly Stretch[];
  /** Commits that the longest one spans, less one. */
  readonly #longest: number;

  /**
   * @param names of segments and of snapshots, which also tell when a session was there; in any order, also repeated
   * @param witnesses names that are known of as well, and only tell when sessions were there
   */
  constructor(names: Iterable<JournalName>, witnesses: readonly JournalName[] = []) {
    const all = [...names];
    const ends = endsOf([...all, ...witnesses]);
    this.#stretches = all
      .filter((name): name is SegmentName => name.kind === "segment")
      .map((name) => ({ name, through: Math.min(name.through, ends.get(name.session) ?? 0) }))
      .filter(({ name, through }) => through >= name.from)
      .sort((a, b) => a.name.from - b.name.from);
    this.#longest = this.#stretches.reduce((most, { name, through }) => Math.max(most, through - name.from), 0);
  }

  /** The segments that hold this commit, those that reach furthest first. */
  holding(version: number): { readonly name: SegmentName; readonly through: number }[] {
    const found: Stretch[] = [];
    for (let at = this.#firstFrom(version - this.#longest); at < this.#stretches.length; at++) {
      const stretch = this.#stretches[at];
      if (stretch === undefined || stretch.name.from > version) break;
      if (stretch.through >= version) found.push(stretch);
    }
    return found.sort((a, b) => b.through - a.through);
  }

  /** The last commit up to which nothing is missing after this one. */
  reach(after: number): number {
    for (let end = after; ; ) {
      const [furthest] = this.holding(end + 1);
      if (furthest === undefined) return end;
      end = furthest.through;
    }
  }

  /** The last commit that any segment holds, wherever there are gaps; 0 where there is none. */
  get last(): number {
    return this.#stretches.reduce((last, { through }) => Math.max(last, through), 0);
  }

  /** The first commits at which something is there again after a gap behind `reach`; undefined without a gap. */
  nextAfter(version: number): number | undefined {
    return this.#stretches[this.#firstFrom(version + 1)]?.name.from;
  }

  /** What no segment holds of the commits after one, up to another. In order. */
  gaps(after: number, through: number): Gap[] {
    const gaps: Gap[] = [];
    for (let end = this.reach(after); end < through; ) {
      const next = this.nextAfter(end) ?? through + 1;
      gaps.push({ from: end + 1, through: Math.min(next - 1, through) });
      end = this.reach(next - 1);
    }
    return gaps;
  }

  #firstFrom(version: number): number {
    let [low, high] = [0, this.#stretches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#stretches[middle]?.name.from ?? 0) < version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The last commit that can be a session's, by session. */
function endsOf(names: readonly JournalName[]): Map<number, number> {
  const begins = new Map<number, number>();
  for (const name of names) {
    if (name.kind === "chunk") continue;
    const first = name.kind === "segment" ? name.from : name.base + 1;
    begins.set(name.session, Math.min(first, begins.get(name.session) ?? first));
  }
  const ends = new Map<number, number>();
  let end = Number.POSITIVE_INFINITY;
  for (const [session, begin] of [...begins].sort(([a], [b]) => b - a)) {
    ends.set(session, end);
    end = Math.min(end, begin - 1);
  }
  return ends;
}
