/**
 * Compares what a node lists with what the catalog has on record of it, in one walk over both in key order. A copy that
 * only the catalog knows is asked for once more, by its record and by its key, and is lost if both say so. A copy that
 * only the node knows is counted, and left where it is; where its session was forgotten, that is recalled, and what it left
 * is collected once more (reclaim/orphan-collector.ts). Last, it looks for what is not ours.
 */
import { type Catalog, endedSessions, recallSession, SessionEndedError, walk } from "../../catalog/catalog.ts";
import { copyIndexKey, copyKeyOfIndex, pendingDeleteKey } from "../../catalog/keys.ts";
import { CatalogError, type KvEntry } from "../../catalog/kv.ts";
import type { Location } from "../../catalog/records/blob.ts";
import type { Member, Members } from "../../cluster/members.ts";
import { sessionOfCopyKey } from "../../nodes/copy-key.ts";
import { type CopyKey, type ForeignReport, NodeError } from "../../nodes/storage-node.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import type { CopyDamage } from "../read/blob-reader.ts";
import { type ComparisonPass, type ComparisonState, comparisonCodec, comparisonKey } from "./comparison-state.ts";
import { copiesBetween, findCopy, isJournals } from "./copies-of-node.ts";
import { yieldToClients } from "./foreground.ts";
import { LocalRecord } from "./local-record.ts";
import { Throttle } from "./throttle.ts";

/** Copies listed at a time. */
const PAGE = 500;
/** Copies compared a second: a node of ten million is done in about three hours. */
const COPIES_PER_SECOND = 1_000;
/**
 * Failures of a node to tell of a copy after which it is asked for no more in a comparison. A node that cannot read some
 * of its volumes fails for all that may be in them; its circuit breaker would keep clients from the others.
 */
const FAILURES_MAX = 3;
/** What asking a node for one copy counts as. */
const HEAD_COPIES = 10;

export interface ComparisonLimits {
  /** Whether comparisons begin by themselves. */
  readonly enabled: boolean;
  readonly intervalMs: number;
}

export interface NodeComparisonDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  /** Takes a bad copy out of service, so that it is replaced. */
  readonly recordDamage: (damage: CopyDamage) => Promise<void>;
  /** Whether clients keep the node busy. */
  readonly busy: (nodeUuid: Id) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ComparisonLimits;
  readonly observer: { bad(node: string, kind: CopyDamage["kind"]): void };
}

type Pass = NonNullable<ComparisonState["pass"]>;
type Counts = Omit<ComparisonPass, "startedAtMs">;

const NO_COUNTS: Counts = { listed: 0, lost: 0, orphans: 0, unknown: 0, failed: 0 };

export class NodeComparison {
  readonly #deps: NodeComparisonDeps;
  readonly #node: { readonly uuid: Id; readonly name: string };
  readonly #record: LocalRecord<ComparisonState>;
  readonly #throttle: Throttle;
  #state: ComparisonState | undefined;
  #requested = false;
  /** Of the node to tell of a copy, in the run under way. */
  #failures = 0;

  constructor(deps: NodeComparisonDeps, node: { readonly uuid: Id; readonly name: string }) {
    this.#deps = deps;
    this.#node = node;
    this.#record = new LocalRecord(deps.catalog, comparisonKey(node.uuid), comparisonCodec);
    this.#throttle = new Throttle(deps.clock, COPIES_PER_SECOND);
  }

  /** The next run compares, whenever that was done last. To be followed by that run. */
  request(): void {
    this.#requested = true;
  }

  /** As it is now, which may be a little later than what is kept. */
  async state(): Promise<ComparisonState> {
    this.#state ??= await this.#load();
    return this.#state;
  }

  /** Goes on with the comparison that is due, as far as it comes while the node can be asked. Never two at a time. */
  async run(signal: AbortSignal): Promise<void> {
    const { members, limits, clock } = this.#deps;
    if (!members().servesReads(this.#node.uuid)) return;
    this.#state = await this.#load();
    const { pass, last } = this.#state;
    const due = last === undefined || last.startedAtMs + limits.intervalMs <= clock.nowMs();
    if (pass === undefined && !this.#requested && !(limits.enabled && due)) return;
    this.#requested = false;
    this.#failures = 0;
    try {
      await this.#compare(pass ?? { ...NO_COUNTS, startedAtMs: clock.nowMs() }, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof NodeError)) throw error;
      const { name: node } = this.#node;
      this.#deps.logger.warn({ err: error, node }, "a node could not be compared with the catalog; it goes on later");
    }
  }

  async #load(): Promise<ComparisonState> {
    return (await this.#record.load()) ?? {};
  }

  async #save(state: ComparisonState): Promise<void> {
    this.#state = state;
    await this.#record.save(state);
  }

  async #compare(from: Pass, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    let pass = from;
    for (let more = true; more; ) {
      const { counts, next } = await this.#comparePage(pass.after, signal);
      const summed = { ...added(pass, counts), startedAtMs: pass.startedAtMs };
      more = next !== undefined;
      pass = next === undefined ? summed : { ...summed, after: next };
      await this.#save({ ...this.#state, pass });
    }
    const foreign = await this.#member().node.foreign(signal);
    const checkedAtMs = clock.nowMs();
    const before = this.#state?.foreign;
    const { after: _, ...counts } = pass;
    await this.#save({ last: { ...counts, endedAtMs: checkedAtMs }, foreign: { ...foreign, checkedAtMs } });
    this.#logForeign(foreign, before);
    logger.info({ node: this.#node.name, ...counts, foreign: foreign.count }, "a node was compared with the catalog");
  }

  async #comparePage(
    after: CopyKey | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly counts: Counts; readonly next: CopyKey | undefined }> {
    const { catalog, clock, busy } = this.#deps;
    const { uuid } = this.#node;
    signal.throwIfAborted();
    await yieldToClients({ clock, busy: () => busy(uuid) }, signal);
    // What was entered later than this may be on the node and not in the listing.
    const version = await catalog.kv.version();
    const request = after === undefined ? { limit: PAGE } : { limit: PAGE, after };
    const page = await this.#member().node.list(request, signal);
    await this.#throttle.take(page.blobs.length, signal);
    const listed = new Set(page.blobs.map(({ key }) => key).filter((key) => !isJournals(key)));
    const counts = { ...NO_COUNTS, listed: listed.size };
    for await (const entry of walk(catalog.kv, copiesBetween(uuid, after, page.next))) {
      signal.throwIfAborted();
      const key = copyKeyOfIndex(entry.key);
      if (listed.delete(key) || isJournals(key)) continue;
      if (entry.version > version) continue;
      const outcome = await this.#askForMissing(entry, signal);
      if (outcome !== "no loss") counts[outcome] += 1;
    }
    const unnamed = await this.#unnamedAmong([...listed]);
    if (unnamed.length > 0) {
      for (const session of new Set(unnamed.map(sessionOfCopyKey))) await recallSession(catalog, session);
      const ended = new Set(await endedSessions(catalog));
      for (const key of unnamed) counts[ended.has(sessionOfCopyKey(key)) ? "orphans" : "unknown"] += 1;
    }
    return { counts, next: page.next };
  }

  /** What has become of a copy that is on record and was not listed. */
  async #askForMissing(entry: KvEntry, signal: AbortSignal): Promise<"no loss" | "lost" | "failed"> {
    const { catalog, observer, recordDamage, logger } = this.#deps;
    const location: Location = { nodeUuid: this.#node.uuid, key: copyKeyOfIndex(entry.key) };
    try {
      if ((await findCopy(catalog.kv, location, entry.value)) === undefined) return "no loss";
      if (this.#failures >= FAILURES_MAX) return "failed";
      await this.#throttle.take(HEAD_COPIES, signal);
      if ((await this.#member().node.head(location.key, signal)) !== undefined) return "no loss";
      // It may have been replaced and deleted while the node was asked.
      const copy = await findCopy(catalog.kv, location, entry.value);
      if (copy === undefined) return "no loss";
      await recordDamage({ blobId: copy.blob.blobId, slot: copy.number, location, kind: "lost" });
      observer.bad(this.#node.name, "lost");
      return "lost";
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CatalogError || error instanceof SessionEndedError) throw error;
      // Without the node there is nothing to compare; it goes on at this page.
      if (!this.#deps.members().servesReads(this.#node.uuid)) throw error;
      if (error instanceof NodeError) this.#failures += 1;
      logger.warn({ err: error, node: this.#node.name, key: location.key }, "a missing copy could not be asked for");
      return "failed";
    }
  }

  /** Those that, now, are neither on record nor to be deleted. */
  async #unnamedAmong(keys: readonly CopyKey[]): Promise<CopyKey[]> {
    const { uuid } = this.#node;
    const entries = await this.#deps.catalog.kv.getMany(
      keys.flatMap((key) => [copyIndexKey(uuid, key), pendingDeleteKey(uuid, key)]),
    );
    return keys.filter((_, at) => entries[2 * at] === undefined && entries[2 * at + 1] === undefined);
  }

  /** @throws NodeError when it cannot be asked now */
  #member(): Member {
    const { members } = this.#deps;
    const member = members().get(this.#node.uuid);
    if (member !== undefined && members().servesReads(this.#node.uuid)) return member;
    throw new NodeError("unreachable", "the node cannot be asked now");
  }

  #logForeign({ count, more, names }: ForeignReport, before: ForeignReport | undefined): void {
    if (count === (before?.count ?? 0)) return;
    const facts = { node: this.#node.name, count, more, names };
    this.#deps.logger.warn(facts, "there are other things on a node than Bulkhead's; they are left alone");
  }
}

function added(one: Counts, other: Counts): Counts {
  return {
    listed: one.listed + other.listed,
    lost: one.lost + other.lost,
    orphans: one.orphans + other.orphans,
    unknown: one.unknown + other.unknown,
    failed: one.failed + other.failed,
  };
}
