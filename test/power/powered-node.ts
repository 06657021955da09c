/** A storage node whose machine may lose its power and come back as another opening of the same disk. */
import { NodeError, type StorageNode } from "../../src/nodes/storage-node.ts";
import {
  type InnerCall,
  type InnerRead,
  type NodeOperation,
  NodeWrapper,
} from "../../src/nodes/wrappers/node-wrapper.ts";

export class PoweredNode extends NodeWrapper {
  #lost = Promise.withResolvers<never>();
  #on = true;

  constructor(inner: StorageNode) {
    super(inner);
    this.#lost.promise.catch(() => {});
  }

  /** What is under way breaks off, and every later call is refused. */
  powerOff(): void {
    this.#on = false;
    this.#lost.reject(new NodeError("unreachable", `storage node ${this.name} has lost its power`));
  }

  get on(): boolean {
    return this.#on;
  }

  protected override call<T>(_: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T> {
    return this.#whileOn(() => run(signal));
  }

  protected override async read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    return this.#chunks(await this.#whileOn(() => run(signal)));
  }

  async *#chunks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = chunks[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#whileOn(() => iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  async #whileOn<T>(run: () => Promise<T>): Promise<T> {
    return this.#on ? Promise.race([run(), this.#lost.promise]) : this.#lost.promise;
  }
}
