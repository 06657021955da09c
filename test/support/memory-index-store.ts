/** An index store in memory whose commits are durable when they resolve, for tests that cut the power. */
import type { IndexStore } from "../../src/nodes/volume/volume-index.ts";

export class MemoryIndex {
  /** Hexadecimal keys. */
  #entries = new Map<string, Uint8Array>();
  #generation = 0;
  /** Called before a commit; may throw. */
  fault: () => void = () => {};

  get size(): number {
    return this.#entries.size;
  }

  /** Stores opened earlier commit nothing any more. */
  crash(): void {
    this.#generation++;
  }

  clear(): void {
    this.#entries = new Map();
  }

  /** One with the same entries, apart from this one. */
  copy(): MemoryIndex {
    const copy = new MemoryIndex();
    copy.#entries = new Map(this.#entries);
    return copy;
  }

  open(): IndexStore {
    const generation = this.#generation;
    const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
    const get = (key: Uint8Array): Uint8Array | undefined => this.#entries.get(hex(key));
    return {
      get,
      range: (start, end) =>
        [...this.#entries.entries()]
          .filter(([key]) => key >= hex(start) && key < hex(end))
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => ({ key: Buffer.from(key, "hex"), value })),
      commit: async (entries) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (generation !== this.#generation) await new Promise<never>(() => {});
        this.fault();
        const sets = [...entries(get)];
        for (const [key, value] of sets) {
          if (value === undefined) this.#entries.delete(hex(key));
          else this.#entries.set(hex(key), Uint8Array.from(value));
        }
      },
      async close() {},
    };
  }
}
