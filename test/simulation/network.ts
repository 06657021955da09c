/**
 * The network between a gateway and a node, as the gateway's driver of the node. Requests are delayed, reordered, lost,
 * repeated, and carried out after the caller gave up or died; answers are lost; streams are slow, break off, stand still
 * or have bits flipped.
 */
import {
  type BlobPage,
  type BlobStat,
  type Block,
  type ByteRange,
  type Capacity,
  type CopyKey,
  type ForeignReport,
  type ListRequest,
  NodeError,
  type ProbeDepth,
  type ProbeFinding,
  type PutReceipt,
  type PutRequest,
  type StorageNode,
} from "../../src/nodes/storage-node.ts";
import type { Chance } from "./chance.ts";
import type { Machine } from "./machine.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** Probabilities per request, and times. */
export interface NetworkConditions {
  readonly latencyMsMax: number;
  readonly slow: number;
  readonly lostRequest: number;
  readonly lostAnswer: number;
  readonly repeated: number;
  /** Carried out up to LATE_MS_MAX later. */
  readonly late: number;
  readonly brokenStream: number;
  readonly stalledStream: number;
  readonly flippedBit: number;
}

export const CALM_NETWORK: NetworkConditions = {
  latencyMsMax: 2,
  slow: 0,
  lostRequest: 0,
  lostAnswer: 0,
  repeated: 0,
  late: 0,
  brokenStream: 0,
  stalledStream: 0,
  flippedBit: 0,
};

/** No request is under way for longer. The orphan collector of a new process relies on such a bound. */
export const LATE_MS_MAX = 8_000;
const SLOW_MS_MAX = 3_000;
/** Longer than anybody waits for a stream. */
const STALL_MS = 60_000;

export interface NetworkDeps {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly conditions: () => NetworkConditions;
  /** How to end the calls whose callers died: they keep what Node.js keeps for a caller that waits. */
  readonly abandoned: Set<() => void>;
}

/** A process of a gateway, and where it is. */
export interface Caller {
  readonly life: Life;
  readonly name: string;
  readonly place: number;
}

interface Call<T> {
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  /** Carries it out on the machine. */
  readonly execute: () => Promise<T>;
}

export class Link implements StorageNode {
  readonly name: string;
  readonly #machine: Machine;
  readonly #net: NetworkDeps;
  readonly #life: Life;
  readonly #from: string;
  readonly #place: number;

  constructor(net: NetworkDeps, machine: Machine, gateway: Caller) {
    this.name = machine.name;
    this.#machine = machine;
    this.#net = net;
    this.#life = gateway.life;
    this.#from = gateway.name;
    this.#place = gateway.place;
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    const blocks = Symbol.asyncIterator in request.blocks ? await this.#receive(request) : request.blocks;
    const { chance, conditions } = this.#net;
    const flipped = chance.happens(conditions().flippedBit);
    return this.#call<PutReceipt>({
      what: `put ${request.key}`,
      signal: request.signal,
      execute: async () => {
        if (flipped) throw new NodeError("corrupt", "the bytes that arrived are not those that were sent");
        await this.#machine.put({ ...request, blocks });
        return { proof: "checksum" };
      },
    });
  }

  /** Takes the blocks of a put one by one, as a connection does. */
  async #receive(request: PutRequest): Promise<Block[]> {
    const { signal } = request;
    const source = request.blocks as AsyncIterable<Block>;
    const iterator = source[Symbol.asyncIterator]();
    const blocks: Block[] = [];
    const givenUp = Promise.withResolvers<never>();
    const onAbort = (): void => givenUp.reject(aborted());
    givenUp.promise.catch(() => {});
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    let whole = false;
    try {
      for (;;) {
        const next = await Promise.race([pulled(iterator), givenUp.promise]);
        if (next.done === true) {
          whole = true;
          return blocks;
        }
        blocks.push(next.value);
        await Promise.race([this.#pass(), givenUp.promise]);
        if (!this.#reachable) throw unreachable();
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      if (!whole) iterator.return?.()?.catch(() => {});
    }
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const machine = this.#machine;
    const bytes = await this.#call({
      what: `get ${key}`,
      signal,
      execute: async () => ({ chunks: await machine.under.get(key, range), epoch: machine.epoch }),
    });
    return this.#stream(bytes.chunks, bytes.epoch);
  }

  async *#stream(chunks: AsyncIterable<Uint8Array>, epoch: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { chance, conditions } = this.#net;
    for await (const chunk of chunks) {
      const cut = chance.happens(0.2) ? 1 + chance.below(chunk.length) : chunk.length;
      for (const piece of [chunk.subarray(0, cut), chunk.subarray(cut)]) {
        if (piece.length === 0) continue;
        await this.#pass();
        if (this.#machine.epoch !== epoch || chance.happens(conditions().brokenStream)) throw unreachable();
        if (chance.happens(conditions().stalledStream)) await this.#wait(STALL_MS);
        yield chance.happens(conditions().flippedBit) ? withFlippedBit(piece, chance) : piece;
      }
    }
  }

  head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    return this.#call({ what: `head ${key}`, signal, execute: () => this.#machine.under.head(key) });
  }

  delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    return this.#call({ what: `delete ${key}`, signal, execute: () => this.#machine.delete(key, this.#from) });
  }

  list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    return this.#call({ what: "list", signal, execute: () => this.#machine.under.list(request) });
  }

  capacity(signal?: AbortSignal): Promise<Capacity | undefined> {
    return this.#call({ what: "capacity", signal, execute: () => this.#machine.under.capacity() });
  }

  foreign(signal?: AbortSignal): Promise<ForeignReport> {
    return this.#call({ what: "foreign", signal, execute: () => this.#machine.under.foreign() });
  }

  probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    return this.#call({ what: `probe ${depth}`, signal, execute: () => this.#machine.under.probe(depth) });
  }

  readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#call({ what: "read identity", signal, execute: () => this.#machine.under.readIdentity() });
  }

  writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    const execute = (): Promise<void> => this.#machine.under.writeIdentity(document, undefined, over);
    return this.#call({ what: "write identity", signal, execute });
  }

  async close(): Promise<void> {}

  /** Resolves after a while on the way. */
  #pass(): Promise<void> {
    return this.#wait(this.#latencyMs());
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#net.scheduler.after(ms, () => {
        if (!this.#life.ended) resolve();
      });
    });
  }

  get #reachable(): boolean {
    return this.#machine.isReachableFrom(this.#place);
  }

  #latencyMs(): number {
    const { chance, conditions } = this.#net;
    const { slow, latencyMsMax } = conditions();
    return chance.happens(slow) ? chance.between(0, SLOW_MS_MAX) : chance.between(0, latencyMsMax);
  }

  #call<T>({ what, signal, execute }: Call<T>): Promise<T> {
    const { scheduler, chance, trace, conditions, abandoned } = this.#net;
    const life = this.#life;
    const machine = this.#machine;
    const wholeName = `${this.#from} > ${this.name} ${what}`;
    return new Promise((resolve, reject) => {
      if (life.ended) return;
      if (signal?.aborted) {
        reject(aborted());
        return;
      }
      let over = false;
      const abandon = (): void => reject(unreachable());
      abandoned.add(abandon);
      const settle = (end: () => void): void => {
        if (over || life.ended) return;
        over = true;
        abandoned.delete(abandon);
        signal?.removeEventListener("abort", onAbort);
        end();
      };
      const onAbort = (): void => settle(() => reject(aborted()));
      signal?.addEventListener("abort", onAbort, { once: true });
      const answer = (end: () => void): void => {
        scheduler.after(this.#latencyMs(), () => settle(end));
      };

      const { lostRequest, lostAnswer, repeated, late } = conditions();
      const carryOut = (answered: boolean): void => {
        if (!this.#reachable) {
          if (answered) answer(() => reject(unreachable()));
          return;
        }
        const epoch = machine.epoch;
        const toBeAnswered = answered && !machine.silent && !chance.happens(lostAnswer);
        if (toBeAnswered) machine.answering(this.#from);
        trace.add(`${wholeName}${answered ? "" : " (once more)"}`);
        execute().then(
          (result) => {
            // The connection broke with the machine.
            if (machine.epoch !== epoch) answer(() => reject(unreachable()));
            else if (toBeAnswered) answer(() => resolve(result));
            else if (chance.happens(0.5)) answer(() => reject(unreachable()));
          },
          (error: unknown) => {
            if (toBeAnswered) answer(() => reject(asNodeError(error)));
          },
        );
      };
      if (chance.happens(lostRequest)) {
        trace.add(`${wholeName} is lost`);
        if (chance.happens(0.5)) answer(() => reject(unreachable()));
        return;
      }
      const delayMs = chance.happens(late) ? chance.between(0, LATE_MS_MAX) : this.#latencyMs();
      scheduler.after(delayMs, () => carryOut(true));
      if (chance.happens(repeated)) scheduler.after(chance.between(0, LATE_MS_MAX), () => carryOut(false));
    });
  }
}

/** What the source of a put throws is none of the node's failures. */
async function pulled(blocks: AsyncIterator<Block>): Promise<IteratorResult<Block>> {
  try {
    return await blocks.next();
  } catch (error) {
    throw new NodeError("aborted", "the source of the blob failed", { cause: error });
  }
}

function withFlippedBit(bytes: Uint8Array, chance: Chance): Uint8Array {
  const flipped = bytes.slice();
  const at = chance.below(flipped.length);
  flipped[at] = (flipped[at] ?? 0) ^ (1 << chance.below(8));
  return flipped;
}

function asNodeError(error: unknown): unknown {
  return error instanceof NodeError ? error : new NodeError("io", "the machine failed", { cause: error });
}

function aborted(): NodeError {
  return new NodeError("aborted", "the caller gave up");
}

function unreachable(): NodeError {
  return new NodeError("unreachable", "the connection broke");
}
