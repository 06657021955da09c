import {
  type BlobPage,
  type BlobStat,
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
} from "./storage-node.ts";

/**
 * A node that is opened by the first probe that succeeds in opening it, so that one whose disk is gone holds up
 * neither the start of the gateway nor its own return. Until then every other call answers `unreachable`.
 */
export class LazyNode implements StorageNode {
  readonly name: string;
  readonly #open: () => Promise<StorageNode>;
  readonly #closing: () => void;
  #node: StorageNode | undefined;
  #opening: Promise<StorageNode> | undefined;
  #closed = false;

  /**
   * @param open throws NodeError
   * @param closing called first of all when the node is closed
   */
  constructor(name: string, open: () => Promise<StorageNode>, closing: () => void = () => {}) {
    this.name = name;
    this.#open = open;
    this.#closing = closing;
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    return this.#opened().put(request);
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#opened().get(key, range, signal);
  }

  async head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    return this.#opened().head(key, signal);
  }

  async delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    return this.#opened().delete(key, signal);
  }

  async list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    return this.#opened().list(request, signal);
  }

  async capacity(signal?: AbortSignal): Promise<Capacity | undefined> {
    return this.#opened().capacity(signal);
  }

  async foreign(signal?: AbortSignal): Promise<ForeignReport> {
    return this.#opened().foreign(signal);
  }

  async probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    return (await this.#tryOpen()).probe(depth, signal);
  }

  async readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#opened().readIdentity(signal);
  }

  async writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    return this.#opened().writeIdentity(document, signal, over);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing();
    await this.#opening?.catch(() => undefined);
    await this.#node?.close();
  }

  #opened(): StorageNode {
    if (this.#node === undefined) throw new NodeError("unreachable", "the node is not open");
    return this.#node;
  }

  async #tryOpen(): Promise<StorageNode> {
    if (this.#closed) throw new NodeError("unreachable", "the node is closed");
    if (this.#node !== undefined) return this.#node;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    this.#node = await this.#opening;
    return this.#node;
  }
}
