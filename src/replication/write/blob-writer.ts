/**
 * Writes one blob to its planned nodes at once and says when enough copies are durable. See architecture: a write is
 * acknowledged *full* when every slot has its copy, *quorum* when a quorum of domains has one, and *degraded* only
 * when the other domains have no node left that takes it.
 */
import type { Blob, Slot } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { newCopyKey } from "../../nodes/copy-key.ts";
import { BLOCK_BYTES, type Block, type CopyKey, NodeError, type NodeErrorKind } from "../../nodes/storage-node.ts";
import { type CopyKind, nextCandidate } from "../../placement/constraints.ts";
import type { PlacementPlan } from "../../placement/plan.ts";
import { acknowledge } from "../../placement/quorum.ts";
import { StreamTooShortError } from "../../shared/byte-reader.ts";
import type { Id } from "../../shared/ids.ts";
import { type FedTarget, waitForRoom } from "./back-pressure.ts";
import {
  type Acknowledgement,
  NotEnoughCopiesError,
  type Straggler,
  type WriteDeps,
  type WrittenBlob,
} from "./blob-write-types.ts";
import { assembleBlocks, packCrcs } from "./block-assembler.ts";
import { TargetFeed } from "./target-feed.ts";

/** Failures after which the node cannot hold the copy: it was not asked. */
const NEVER_SENT: ReadonlySet<NodeErrorKind> = new Set(["busy", "refused", "invalid"]);

/** After a quorum stands, this long is waited for the copies that are about to arrive anyway. */
const PATIENCE_MS = 10;

interface SlotWrite {
  readonly number: number;
  readonly domain: string;
  readonly candidates: readonly Id[];
  state: "failed" | "writing" | "durable";
  /** Outside its domain. */
  handoff: boolean;
  copy?: { nodeUuid: Id; key: CopyKey; abort: AbortController; done: Promise<boolean>; feed?: TargetFeed };
}

/**
 * Writes `length` bytes, at least 1, and resolves as soon as they may be acknowledged.
 * @throws NotEnoughCopiesError, or what `bytes` throws
 */
export async function writeBlob(
  deps: WriteDeps,
  request: { readonly bytes: AsyncIterable<Uint8Array>; readonly length: number; readonly signal?: AbortSignal },
): Promise<WrittenBlob> {
  const write = new BlobWrite(deps, request.length);
  try {
    return await write.run(request.bytes, request.signal);
  } catch (error) {
    write.abandon(error);
    throw error;
  }
}

class BlobWrite {
  readonly #deps: WriteDeps;
  readonly #members: Members;
  readonly #length: number;
  readonly #blobId: Id;
  readonly #plan: PlacementPlan;
  readonly #slots: SlotWrite[];
  readonly #tried = new Set<Id>();
  readonly #failures: NodeError[] = [];
  /** Nodes that had no turn for us. */
  readonly #busy = new Set<Id>();
  readonly #crcs: number[] = [];
  /** The whole body, where it is short enough to be held. */
  #held: Block[] | undefined;
  readonly #survivor = Promise.withResolvers<void>();
  #wake: () => void = () => {};

  constructor(deps: WriteDeps, length: number) {
    this.#deps = deps;
    this.#members = deps.members();
    this.#length = length;
    this.#blobId = deps.ids.next();
    this.#plan = this.#members.placement.plan({
      key: this.#blobId,
      writable: (uuid) => this.#members.acceptsWrites(uuid),
    });
    this.#slots = this.#plan.slots.map((slot, number) => ({
      number,
      domain: slot.domain,
      candidates: slot.candidates,
      state: "failed",
      handoff: false,
    }));
    this.#survivor.promise.catch(() => {});
  }

  async run(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<WrittenBlob> {
    signal?.throwIfAborted();
    if (this.#length <= this.#deps.limits.bufferBytes) {
      await this.#hold(bytes);
      this.#startPlanned();
    } else {
      this.#startPlanned();
      await this.#stream(bytes, signal);
    }
    const acknowledged = await this.#settle(signal);
    const held = this.#held === undefined ? {} : { held: this.#held };
    return { blob: this.#blob(), acknowledged, stragglers: this.#stragglers(), ...held };
  }

  /** Ends everything under way and gives up what became durable, also what becomes so in spite of it. */
  abandon(reason: unknown): void {
    this.#survivor.reject(reason);
    for (const { copy } of this.#slots) {
      copy?.feed?.fail(reason);
      copy?.abort.abort(reason);
      void copy?.done.then((durable) => {
        if (durable) this.#deps.discard(this.#blobId, [copy]);
      });
    }
  }

  async #hold(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#held = [];
    for await (const block of assembleBlocks(bytes)) {
      this.#crcs.push(block.crc32c);
      this.#held.push(block);
    }
    this.#expectWhole();
  }

  async #stream(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<void> {
    const { clock, limits } = this.#deps;
    const { quorum } = this.#members.topology.replication;
    for await (const block of assembleBlocks(bytes)) {
      this.#crcs.push(block.crc32c);
      const targets = this.#attached();
      if (targets.length === 0 && !this.#slots.some((slot) => slot.state === "writing")) {
        throw new NotEnoughCopiesError(this.#failures);
      }
      await waitForRoom(targets, { clock, lagTimeoutMs: limits.lagTimeoutMs, quorum, signal });
      for (const { feed } of targets) feed.give(block);
    }
    this.#expectWhole();
    for (const { feed } of this.#attached()) feed.end();
  }

  #attached(): FedTarget[] {
    return this.#slots.flatMap(({ domain, copy }) => (copy?.feed?.attached ? [{ domain, feed: copy.feed }] : []));
  }

  #expectWhole(): void {
    const blocks = Math.ceil(this.#length / BLOCK_BYTES);
    if (this.#crcs.length !== blocks) throw new StreamTooShortError((blocks - this.#crcs.length) * BLOCK_BYTES);
  }

  /** Starts every slot on the node that was planned for it. The plan chose these together, so none is passed over. */
  #startPlanned(): void {
    for (const slot of this.#slots) {
      const [planned] = slot.candidates;
      if (planned !== undefined) this.#start(slot, planned, false);
    }
  }

  /** Restarts a slot on the first of its candidates that was not tried. */
  #startInDomain(slot: SlotWrite): boolean {
    const target = this.#firstUsable(slot.candidates, "planned");
    if (target === undefined) return false;
    this.#start(slot, target, false);
    return true;
  }

  #firstUsable(candidates: readonly Id[], kind: CopyKind): Id | undefined {
    const chosen = this.#slots.flatMap((slot) =>
      slot.state !== "failed" && slot.copy !== undefined ? [slot.copy.nodeUuid] : [],
    );
    const usable = candidates.filter((uuid) => !this.#tried.has(uuid) && this.#members.acceptsWrites(uuid));
    return nextCandidate(this.#members.placement.index, chosen, usable, kind);
  }

  #start(slot: SlotWrite, nodeUuid: Id, handoff: boolean): void {
    const member = this.#members.get(nodeUuid);
    if (member === undefined) throw new TypeError("a planned node is not in the topology");
    this.#tried.add(nodeUuid);
    const { clusterId, session, random, limits } = this.#deps;
    const key = newCopyKey(session, random);
    const abort = new AbortController();
    const streaming = this.#held === undefined && !this.#sourceEnded();
    const feed = streaming
      ? new TargetFeed(Math.max(1, Math.floor(limits.bufferBytes / BLOCK_BYTES)), (from) => this.#fromSurvivor(from))
      : undefined;
    const done = member.node
      .put({
        key,
        header: { clusterId, blobId: this.#blobId, session, length: this.#length },
        blocks: feed?.blocks() ?? this.#held ?? this.#fromSurvivor(0),
        signal: abort.signal,
      })
      .then(
        () => this.#ended(slot, undefined),
        (error: unknown) => this.#ended(slot, error),
      );
    slot.state = "writing";
    slot.handoff = handoff;
    slot.copy = { nodeUuid, key, abort, done, ...(feed === undefined ? {} : { feed }) };
  }

  #ended(slot: SlotWrite, error: unknown): boolean {
    const durable = error === undefined;
    slot.state = durable ? "durable" : "failed";
    if (durable) this.#survivor.resolve();
    else this.#failed(slot, error);
    this.#wake();
    return durable;
  }

  #failed(slot: SlotWrite, error: unknown): void {
    const failure =
      error instanceof NodeError
        ? error
        : new NodeError("invalid", "a node failed in an unexpected way", { cause: error });
    this.#failures.push(failure);
    if (failure.kind === "busy" && slot.copy !== undefined) this.#busy.add(slot.copy.nodeUuid);
    // A put that never took a block does not release its feed.
    slot.copy?.feed?.fail(failure);
    if (slot.copy !== undefined && !NEVER_SENT.has(failure.kind)) {
      this.#deps.discard(this.#blobId, [{ nodeUuid: slot.copy.nodeUuid, key: slot.copy.key }]);
    }
    const live = this.#slots.some(
      ({ state, copy }) => state === "writing" && copy?.feed !== undefined && !copy.feed.detached,
    );
    // Whoever waits for a durable copy to go on from waits in vain when nobody has the bytes any more.
    if (!live) this.#survivor.reject(new NotEnoughCopiesError(this.#failures));
  }

  #sourceEnded(): boolean {
    return this.#crcs.length * BLOCK_BYTES >= this.#length;
  }

  async *#fromSurvivor(fromBlock: number): AsyncGenerator<Block, void, undefined> {
    await this.#survivor.promise;
    const range = { start: fromBlock * BLOCK_BYTES, end: this.#length };
    yield* assembleBlocks(this.#deps.reader.read(this.#blob(), range));
  }

  /** Waits until the write may be acknowledged, starting stand-ins and hand-off copies where that takes them. */
  async #settle(signal: AbortSignal | undefined): Promise<Acknowledgement> {
    signal?.addEventListener("abort", () => this.#wake(), { once: true });
    let patience: Promise<"over"> | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const writing = this.#slots.some((slot) => slot.state === "writing");
      const outcome = this.#acknowledgement();
      if (outcome === "full" || (outcome === "quorum" && !writing)) return outcome;
      if (outcome === "quorum") {
        patience ??= this.#patience();
        if ((await Promise.race([this.#change(), patience])) === "over") return outcome;
      } else if (!this.#startStandIns()) {
        if (writing) await this.#change();
        else if (this.#turnedAway()) throw new NotEnoughCopiesError(this.#failures);
        else if (outcome === "degraded") return outcome;
        else if (!this.#startHandoff()) throw new NotEnoughCopiesError(this.#failures);
      }
    }
  }

  /** Whether a node that does accept writes had no turn for this one: that is no reason for fewer copies. */
  #turnedAway(): boolean {
    return [...this.#busy].some((uuid) => this.#members.acceptsWrites(uuid));
  }

  /** What the write could be acknowledged as if its slots had no stand-ins left. */
  #acknowledgement(): Acknowledgement | "no" {
    const copies = this.#slots.map(({ domain, state, handoff, copy }) => ({
      domain: handoff ? (this.#domainOf(copy?.nodeUuid) ?? domain) : domain,
      durable: state === "durable",
      handoff,
    }));
    const durable = copies.filter((copy) => copy.durable);
    const next = this.#nextHandoff();
    const nextDomain = this.#domainOf(next);
    return acknowledge({
      policy: this.#members.topology.replication,
      copies,
      otherDomainsWritable: nextDomain !== undefined && !durable.some((copy) => copy.domain === nextDomain),
      writableNodes: durable.length + (next === undefined ? 0 : 1),
    });
  }

  #domainOf(nodeUuid: Id | undefined): string | undefined {
    return nodeUuid === undefined ? undefined : this.#members.get(nodeUuid)?.spec.domain;
  }

  /** Whether a put that has not begun can still get the bytes. */
  #bytesAvailable(): boolean {
    return this.#held !== undefined || this.#slots.some((slot) => slot.state !== "failed");
  }

  #startStandIns(): boolean {
    if (!this.#bytesAvailable()) return false;
    let started = false;
    for (const slot of this.#slots) if (slot.state === "failed") started = this.#startInDomain(slot) || started;
    return started;
  }

  #nextHandoff(): Id | undefined {
    const wanted = this.#bytesAvailable() && this.#slots.some((slot) => slot.state === "failed");
    return wanted ? this.#firstUsable(this.#plan.handoff, "handoff") : undefined;
  }

  #startHandoff(): boolean {
    const target = this.#nextHandoff();
    const slot = this.#slots.find((candidate) => candidate.state === "failed");
    if (target === undefined || slot === undefined || !this.#members.topology.replication.degradedWrite.enabled) {
      return false;
    }
    this.#start(slot, target, true);
    return true;
  }

  #change(): Promise<"change"> {
    return new Promise((resolve) => {
      this.#wake = () => resolve("change");
    });
  }

  #patience(): Promise<"over"> {
    return new Promise((resolve) => {
      this.#deps.clock.startTimer(PATIENCE_MS, () => resolve("over"));
    });
  }

  #blob(): Blob {
    return {
      blobId: this.#blobId,
      length: this.#length,
      blockCrcs: packCrcs(this.#crcs),
      slots: this.#slots.map((slot) => slotRecord(slot, this.#deps.clock.nowMs())),
    };
  }

  #stragglers(): Straggler[] {
    return this.#slots.flatMap(({ number, state, copy }) =>
      state === "writing" && copy !== undefined
        ? [{ slot: number, nodeUuid: copy.nodeUuid, key: copy.key, done: copy.done, abort: () => copy.abort.abort() }]
        : [],
    );
  }
}

function slotRecord(slot: SlotWrite, verifiedAtMs: number): Slot {
  if (slot.state !== "durable" || slot.copy === undefined) return { state: "missing", domain: slot.domain };
  const { nodeUuid, key } = slot.copy;
  return { state: slot.handoff ? "handoff" : "ok", domain: slot.domain, location: { nodeUuid, key }, verifiedAtMs };
}
