/**
 * What every commit wrote, one after the other, as far as the journal has it: from the store where it still has it on
 * record, else from segments on the nodes.
 */
import { NodeError } from "../../nodes/storage-node.ts";
import { CatalogError, ChangesForgottenError, type KvChange, type KvStore } from "../kv.ts";
import { writesBytes } from "../kv-change.ts";
import type { Chain } from "./chain.ts";
import type { Holdings } from "./holdings.ts";
import type { JournalName } from "./journal-name.ts";
import type { JournalCluster, JournalNode } from "./journal-nodes.ts";
import { JournalReader } from "./journal-reader.ts";
import type { Segment } from "./pieces.ts";
import { Retention } from "./retention.ts";

/** Bytes of changes in one answer, about. */
const READ_BYTES = 4 * 1024 * 1024;
/** Pieces may be merged, or go, between looking for them and reading them. */
const ATTEMPTS = 3;

/** Changes that were asked for were removed from the nodes, behind a snapshot. */
export class CursorLostError extends Error {
  /** The first commit from which on all changes can be had. */
  readonly firstVersion: number;
  constructor(firstVersion: number) {
    super(`changes before commit ${firstVersion} are not kept any more`);
    this.name = "CursorLostError";
    this.firstVersion = firstVersion;
  }
}

export interface DurableChangesDeps {
  readonly kv: KvStore;
  readonly cluster: JournalCluster;
  readonly journal: {
    /** The last commit that is durable in the journal. */
    readonly shippedThrough: number;
    readonly holdings: Holdings;
  };
}

export interface ChangePage {
  /** In the order of the commits. */
  readonly changes: readonly KvChange[];
  /** The last commit that they tell of, whether or not it changed anything: what to read on after. */
  readonly next: number;
}

/** All changes after a commit, up to another. */
interface Run {
  readonly after: number;
  readonly through: number;
  readonly changes: readonly KvChange[];
}

export class DurableChanges {
  readonly #deps: DurableChangesDeps;
  /** What is left of the segment that was read last, as the next reading will mostly go on there. */
  #ahead: Run | undefined;

  constructor(deps: DurableChangesDeps) {
    this.#deps = deps;
  }

  /**
   * The changes after a commit: at most `limit` commits, none that the journal may still lose. `next` equals `after`
   * where there is nothing yet.
   * @throws CursorLostError; RangeError when there is no such commit yet; CatalogError `unavailable` while the nodes that
   *   hold them cannot be read
   */
  async after(after: number, limit: number, signal?: AbortSignal): Promise<ChangePage> {
    const durable = this.#deps.journal.shippedThrough;
    if (after > durable && after > (await this.#deps.kv.version())) throw new RangeError("there is no such commit yet");
    if (after >= durable) return { changes: [], next: after };
    const changes: KvChange[] = [];
    let [next, bytes] = [after, 0];
    try {
      for await (const run of this.#runs(after, signal)) {
        const through = Math.min(run.through, durable);
        const all = run.changes.filter(({ version }) => version > next && version <= through);
        const taken = all.slice(0, limit - changes.length);
        changes.push(...taken);
        next = taken.length < all.length ? (taken.at(-1)?.version ?? next) : through;
        bytes += taken.reduce((sum, { writes }) => sum + writesBytes(writes), 0);
        if (next >= durable || changes.length >= limit || bytes >= READ_BYTES) break;
      }
    } catch (error) {
      // What came before is good; who reads on after it is told.
      if (next === after) throw error;
    }
    return { changes, next };
  }

  /** All changes after a commit, some at a time. */
  async *#runs(after: number, signal: AbortSignal | undefined): AsyncGenerator<Run, void, undefined> {
    let at = after;
    const ahead = this.#ahead;
    if (ahead !== undefined && ahead.after <= at && at < ahead.through) {
      yield ahead;
      at = ahead.through;
    }
    this.#ahead = undefined;
    for (;;) {
      const kept = await this.#inStore(at);
      if (typeof kept !== "number") {
        if (kept.changes.length === 0) return;
        yield kept;
        at = kept.through;
        continue;
      }
      const before = at;
      for await (const segment of this.#segments(at, signal)) {
        const run = { after: at, through: segment.through, changes: segment.changes };
        at = segment.through;
        this.#ahead = run;
        yield run;
      }
      if (at === before) throw this.#reasonWithout(at, kept);
    }
  }

  /** What the store has on record after a commit; if that was forgotten, the commit after which it has. */
  async #inStore(after: number): Promise<Run | number> {
    try {
      const changes = await this.#deps.kv.changes(after, READ_BYTES);
      return { after, through: changes.at(-1)?.version ?? after, changes };
    } catch (error) {
      if (error instanceof ChangesForgottenError) return error.keptAfter;
      throw error;
    }
  }

  async *#segments(after: number, signal: AbortSignal | undefined): AsyncGenerator<Segment, void, undefined> {
    await this.#listUnknown();
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      let found = false;
      for await (const segment of this.#reader().segments(after, signal)) {
        found = true;
        yield segment;
      }
      if (found) return;
    }
  }

  /** After a start it may not be known yet what a node holds. */
  async #listUnknown(): Promise<void> {
    const { cluster, journal } = this.#deps;
    for (const node of cluster.nodes()) {
      if (!node.servesReads() || journal.holdings.knows(node.uuid)) continue;
      try {
        await journal.holdings.refresh(node);
      } catch (error) {
        // Others may do.
        if (!(error instanceof NodeError)) throw error;
      }
    }
  }

  #reader(): JournalReader {
    const { cluster, journal } = this.#deps;
    const all = cluster.nodes();
    return new JournalReader({
      clusterId: cluster.clusterId,
      holdings: journal.holdings,
      nodes: all.filter((node) => node.servesReads()),
      // Sessions whose segments are on nodes that are away now still tell where those before them end.
      witnesses: namesOn(all, journal.holdings),
    });
  }

  #reasonWithout(after: number, keptAfter: number): Error {
    const { cluster, journal } = this.#deps;
    const { chain, floor } = new Retention(cluster, journal.holdings);
    const listed = cluster.nodes().every((node) => !node.servesReads() || journal.holdings.knows(node.uuid));
    const removed = listed && after < floor && chain.holding(after + 1).length === 0;
    return removed
      ? new CursorLostError(firstContinuous(chain, after, keptAfter))
      : new CatalogError("unavailable", "the nodes that hold these changes cannot be read now");
  }
}

function namesOn(nodes: readonly JournalNode[], holdings: Holdings): JournalName[] {
  return nodes.flatMap(({ uuid }) => holdings.of(uuid).map(({ name }) => name));
}

/** The first commit after one from which on segments reach, without a gap, to what the store itself has. */
function firstContinuous(chain: Chain, after: number, keptAfter: number): number {
  for (let at = after; at < keptAfter; ) {
    const end = chain.reach(at);
    if (end >= keptAfter) return at + 1;
    const next = chain.nextAfter(end);
    if (next === undefined) break;
    at = next - 1;
  }
  return keptAfter + 1;
}
