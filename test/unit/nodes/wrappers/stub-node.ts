/** What the tests of wrappers put inside them. */
import { openMemoryNode } from "../../../../src/nodes/memory/memory-node.ts";
import {
  NodeError,
  type NodeErrorKind,
  type PutRequest,
  type StorageNode,
} from "../../../../src/nodes/storage-node.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { blocksOf, copyKey, headerFor, patternBytes } from "../../../support/blobs.ts";

export const CLUSTER_ID = "00c0ffee00c0ffee00c0ffee00c0ffee";
export const KEY = `00000001/${"0".repeat(32)}`;
export const RANGE = { start: 0, end: 300_000 };

const random = seededRandom(7);

/** A memory node with some of its calls replaced. */
export function stubNode(calls: Partial<StorageNode> = {}): StorageNode {
  const node = openMemoryNode({ name: "stub", clusterId: CLUSTER_ID });
  return new Proxy(node, {
    get(target, property) {
      const own: unknown = Reflect.get(calls, property);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, property);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** A put of `length` bytes with its blocks in memory. */
export function putRequest(length = 10, options: { readonly signal?: AbortSignal } = {}): PutRequest {
  const key = copyKey(1, random);
  const header = headerFor(key, length, random, CLUSTER_ID);
  return { key, header, blocks: blocksOf(patternBytes(length, 1)), ...options };
}

/** A call that a test ends when it likes. Rejects with `aborted` when its signal aborts, unless it is `deaf`. */
export class HeldCalls<T> {
  /** Those under way, in the order in which they came. */
  readonly held: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void }[] = [];
  /** The signals that they came with. */
  readonly signals: (AbortSignal | undefined)[] = [];
  readonly #deaf: boolean;

  constructor(options: { readonly deaf?: boolean } = {}) {
    this.#deaf = options.deaf ?? false;
  }

  call(signal: AbortSignal | undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.held.push({ resolve, reject });
    this.signals.push(signal);
    if (!this.#deaf) signal?.addEventListener("abort", () => reject(new NodeError("aborted", "the caller gave up")));
    return promise;
  }

  /** Ends the one that came first. */
  resolve(value: T): void {
    this.held.shift()?.resolve(value);
  }

  reject(kind: NodeErrorKind): void {
    this.held.shift()?.reject(new NodeError(kind, "as the test says"));
  }
}

/** A read that hands out what a test gives it, and says whether it was let go. */
export class HeldRead implements AsyncIterableIterator<Uint8Array, undefined> {
  released = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined;

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.released += 1;
    return { done: true, value: undefined };
  }

  give(length: number): void {
    this.#waiting?.resolve({ done: false, value: new Uint8Array(length) });
  }

  end(): void {
    this.#waiting?.resolve({ done: true, value: undefined });
  }

  fail(kind: NodeErrorKind): void {
    this.#waiting?.reject(new NodeError(kind, "as the test says"));
  }
}

/** Lets everything run that only waits for its turn. */
export async function turns(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The outcome of a promise so far. */
export function watch<T>(promise: Promise<T>): {
  outcome: "pending" | "ok" | NodeErrorKind | "unknown";
  error?: unknown;
} {
  const watched: { outcome: "pending" | "ok" | NodeErrorKind | "unknown"; error?: unknown } = { outcome: "pending" };
  promise.then(
    () => {
      watched.outcome = "ok";
    },
    (error: unknown) => {
      watched.outcome = error instanceof NodeError ? error.kind : "unknown";
      watched.error = error;
    },
  );
  return watched;
}
