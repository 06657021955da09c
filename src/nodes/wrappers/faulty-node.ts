import { type Clock, sleep } from "../../shared/clock.ts";
import { crc32c } from "../../shared/crc32c.ts";
import type { Random } from "../../shared/random.ts";
import { NodeLifetime } from "../node-lifetime.ts";
import {
  type Block,
  type ByteRange,
  type CopyKey,
  NodeError,
  type NodeErrorKind,
  type PutReceipt,
  type PutRequest,
  type StorageNode,
} from "../storage-node.ts";
import { FaultyRead, type ReadFault, withByteChanged } from "./faulty-read.ts";
import { type InnerCall, type InnerRead, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";

/** What goes wrong with a call. */
export type FaultEffect =
  /** The node takes this long more, drawn between 0 and `upToMs`. */
  | { readonly kind: "latency"; readonly upToMs: number }
  /** The node does nothing and answers with this. */
  | { readonly kind: "error"; readonly error: NodeErrorKind }
  /** The node does what it was told; the answer gets lost and the caller sees a timeout. Not for gets. */
  | { readonly kind: "lost-answer" }
  /** The node never answers. A get stalls at a byte that is drawn. Ends with the signal, or when the node is closed. */
  | { readonly kind: "stall" }
  /** One byte that is drawn changes: of what a put stores, unnoticed, or of what a get hands out. */
  | { readonly kind: "corrupt" }
  /** A get ends at a byte that is drawn, as if that were all. */
  | { readonly kind: "truncate" }
  /** A get fails with this at a byte that is drawn. */
  | { readonly kind: "break-off"; readonly error: NodeErrorKind };

export interface Fault {
  readonly effect: FaultEffect;
  /** Calls that it befalls; all when absent. */
  readonly operations?: readonly NodeOperation[];
  /** From 0 to 1; always when absent. */
  readonly probability?: number;
  /** How often at most; without end when absent. */
  readonly times?: number;
}

export interface FaultyNodeDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** A node with faults, for tests and the simulation: equal seeds and equal calls give equal faults. */
export class FaultyNode extends NodeWrapper {
  readonly #deps: FaultyNodeDeps;
  readonly #lifetime: NodeLifetime;
  readonly #struck = new Map<Fault, number>();
  #faults: readonly Fault[];

  constructor(inner: StorageNode, deps: FaultyNodeDeps, faults: readonly Fault[] = []) {
    super(inner);
    this.#deps = deps;
    this.#lifetime = new NodeLifetime(inner.name);
    this.#faults = faults;
  }

  /** Replaces the faults. Calls under way keep those that have struck them. */
  set faults(faults: readonly Fault[]) {
    this.#faults = faults;
    this.#struck.clear();
  }

  /** How often a fault has struck. */
  struck(fault: Fault): number {
    return this.#struck.get(fault) ?? 0;
  }

  override async put(request: PutRequest): Promise<PutReceipt> {
    const { blocks, signal } = request;
    const effects = this.#draw("put");
    const corrupt = effects.some(({ kind }) => kind === "corrupt");
    let sent = false;
    try {
      return await this.#suffer(effects, signal, () => {
        sent = true;
        return this.inner.put(corrupt ? { ...request, blocks: this.#corruptBlocks(request) } : request);
      });
    } catch (error) {
      // Nobody else tells a source that the node never saw that it is not wanted.
      if (!sent && Symbol.asyncIterator in blocks) release(blocks);
      throw error;
    }
  }

  override async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const effects = this.#draw("get");
    const before = effects.filter(({ kind }) => kind === "latency" || kind === "error");
    const chunks = await this.#suffer(before, signal, () => this.inner.get(key, range, signal));
    const effect = effects.map(readEffect).find((found) => found !== undefined);
    if (effect === undefined) return chunks;
    const at = Math.floor(this.#deps.random.float() * (range.end - range.start));
    return new FaultyRead(chunks, { at, effect, stall: () => this.#stall(signal) });
  }

  protected override call<T>(operation: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T> {
    return this.#suffer(this.#draw(operation), signal, () => run(signal));
  }

  protected override read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    return run(signal);
  }

  override async close(): Promise<void> {
    this.#lifetime.close();
    await this.inner.close();
  }

  /** The effects that strike a call. Draws once for every fault that may strike it, whether or not others did. */
  #draw(operation: NodeOperation): FaultEffect[] {
    return this.#faults
      .filter(({ operations }) => operations === undefined || operations.includes(operation))
      .filter((fault) => {
        const hit = this.#deps.random.float() < (fault.probability ?? 1);
        const before = this.struck(fault);
        if (!hit || before >= (fault.times ?? Number.POSITIVE_INFINITY)) return false;
        this.#struck.set(fault, before + 1);
        return true;
      })
      .map(({ effect }) => effect);
  }

  async #suffer<T>(
    effects: readonly FaultEffect[],
    signal: AbortSignal | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    this.#lifetime.enter(signal);
    for (const effect of effects) {
      if (effect.kind === "latency") await this.#delay(effect.upToMs, signal);
      else if (effect.kind === "stall") await this.#stall(signal);
      else if (effect.kind === "error") throw injected(effect.error);
    }
    const result = await run();
    if (effects.some(({ kind }) => kind === "lost-answer")) throw injected("timeout");
    return result;
  }

  async #delay(upToMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random } = this.#deps;
    await this.#lifetime.wait(sleep(clock, random.float() * upToMs, signal), signal);
  }

  async #stall(signal: AbortSignal | undefined): Promise<never> {
    return this.#lifetime.wait(new Promise<never>(() => {}), signal);
  }

  /** The blocks with one byte changed and a checksum that hides it, as a disk's own write may do it. */
  #corruptBlocks({ blocks, header }: PutRequest): PutRequest["blocks"] {
    const at = Math.floor(this.#deps.random.float() * header.length);
    let from = 0;
    const corrupt = (block: Block): Block => {
      const index = at - from;
      from += block.length;
      return index >= 0 && index < block.length ? corruptBlock(block, index) : block;
    };
    if (!(Symbol.asyncIterator in blocks)) return blocks.map(corrupt);
    return (async function* () {
      for await (const block of blocks) yield corrupt(block);
    })();
  }
}

function readEffect(effect: FaultEffect): ReadFault["effect"] | undefined {
  if (effect.kind === "stall" || effect.kind === "corrupt") return effect.kind;
  if (effect.kind === "truncate") return "end";
  return effect.kind === "break-off" ? injected(effect.error) : undefined;
}

function injected(kind: NodeErrorKind): NodeError {
  return new NodeError(kind, "an injected fault");
}

function corruptBlock(block: Block, index: number): Block {
  const bytes = withByteChanged(Buffer.concat(block.chunks, block.length), index);
  return { chunks: [bytes], length: block.length, crc32c: crc32c(bytes, 0) };
}

function release(blocks: AsyncIterable<Block>): void {
  blocks[Symbol.asyncIterator]()
    .return?.()
    .then(undefined, () => {});
}
