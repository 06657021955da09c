/** A node whose reads go wrong as a test says, over one whose reads go right. */
import { type ByteRange, type CopyKey, NodeError, type StorageNode } from "../../src/nodes/storage-node.ts";

export interface ReadScript {
  /** Bytes from the start of the read after which it goes wrong; 0 before the node begins to answer. */
  readonly afterBytes: number;
  readonly fault: "fail" | "stall" | "end" | "flip a byte";
  /** What `fail` throws. */
  readonly error?: Error;
  /** Reads that go wrong; all when absent, the later ones go right. */
  readonly times?: number;
}

export class ScriptedReads {
  readonly node: StorageNode;
  /** What was asked for. */
  readonly ranges: ByteRange[] = [];
  /** Reads that were begun and neither came to their end nor were let go. */
  open = 0;
  /** Reads that were let go before their end. */
  letGo = 0;
  script: ReadScript | undefined;
  readonly #under: StorageNode;
  readonly #chunkBytes: number;

  constructor(under: StorageNode, chunkBytes = 100_000) {
    this.#under = under;
    this.#chunkBytes = chunkBytes;
    const get: StorageNode["get"] = (key, range, signal) => this.#get(key, range, signal);
    this.node = new Proxy(under, {
      get(target, property) {
        if (property === "get") return get;
        const member: unknown = Reflect.get(target, property);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  async #get(key: CopyKey, range: ByteRange, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>> {
    this.ranges.push(range);
    const times = this.script?.times ?? Number.POSITIVE_INFINITY;
    const script = this.ranges.length <= times ? this.script : undefined;
    this.open += 1;
    try {
      if (script?.afterBytes === 0 && script.fault !== "flip a byte") await this.#goWrong(script, signal);
      const bytes: Uint8Array[] = [];
      for await (const chunk of await this.#under.get(key, range)) bytes.push(chunk);
      return this.#chunks(Buffer.concat(bytes), script, signal);
    } catch (error) {
      this.open -= 1;
      if (signal?.aborted) this.letGo += 1;
      throw error;
    }
  }

  async *#chunks(
    bytes: Buffer,
    script: ReadScript | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void> {
    let ended = false;
    let fault = script;
    try {
      for (let at = 0; at < bytes.length; at += this.#chunkBytes) {
        const chunk = bytes.subarray(at, at + this.#chunkBytes);
        if (fault !== undefined && at + chunk.length > fault.afterBytes) {
          const index = fault.afterBytes - at;
          if (fault.fault !== "flip a byte") {
            if (index > 0) yield chunk.subarray(0, index);
            await this.#goWrong(fault, signal);
            return;
          }
          chunk[index] = (chunk[index] ?? 0) ^ 0x40;
          fault = undefined;
        }
        yield chunk;
      }
      ended = true;
    } catch (error) {
      ended = !signal?.aborted;
      throw error;
    } finally {
      this.open -= 1;
      if (!ended) this.letGo += 1;
    }
  }

  /** Throws, returns at once (`end`), or waits for the signal. */
  async #goWrong(script: ReadScript, signal: AbortSignal | undefined): Promise<void> {
    if (script.fault === "fail") throw script.error ?? new NodeError("unreachable", "the connection broke");
    if (script.fault !== "stall") return;
    await new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(new NodeError("aborted", "the caller gave up")), { once: true });
    });
  }
}
