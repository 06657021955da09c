/** A storage node that a test can take down, hold up, make fail, and ask what it was called for. */
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
} from "../../src/nodes/storage-node.ts";

/** Stands between the caller and the node; `pass` is what the node itself would do. */
export interface NodeHooks {
  put?: (request: PutRequest, pass: StorageNode["put"]) => Promise<PutReceipt>;
  get?: (
    request: { readonly key: CopyKey; readonly range: ByteRange; readonly signal: AbortSignal | undefined },
    pass: StorageNode["get"],
  ) => Promise<AsyncIterable<Uint8Array>>;
  head?: (key: CopyKey, pass: StorageNode["head"]) => Promise<BlobStat | undefined>;
  delete?: (key: CopyKey, pass: StorageNode["delete"]) => Promise<void>;
  list?: (request: ListRequest, pass: StorageNode["list"]) => Promise<BlobPage>;
  foreign?: (pass: StorageNode["foreign"]) => Promise<ForeignReport>;
  probe?: (depth: ProbeDepth, pass: StorageNode["probe"]) => Promise<readonly ProbeFinding[]>;
  readIdentity?: (pass: StorageNode["readIdentity"]) => Promise<Uint8Array | undefined>;
}

export interface NodeCall {
  readonly call: "put" | "get" | "head" | "delete" | "list";
  readonly key?: CopyKey;
}

export class ControlledNode implements StorageNode {
  readonly name: string;
  /** Every call answers `unreachable`, and what is under way breaks off. */
  down = false;
  hooks: NodeHooks = {};
  /** Calls since the test last emptied it, also those that failed. */
  readonly calls: NodeCall[] = [];
  readonly #under: StorageNode;

  constructor(under: StorageNode) {
    this.name = under.name;
    this.#under = under;
  }

  /** How often a call was made. */
  count(call: NodeCall["call"]): number {
    return this.calls.filter((each) => each.call === call).length;
  }

  async put(request: PutRequest): Promise<PutReceipt> {
    this.#enter({ call: "put", key: request.key });
    const { hooks } = this;
    const pass: StorageNode["put"] = (passed) => this.#under.put(passed);
    const receipt = await (hooks.put === undefined ? pass(request) : hooks.put(request, pass));
    this.#refuseIfDown();
    return receipt;
  }

  async get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    this.#enter({ call: "get", key });
    const pass: StorageNode["get"] = (...asked) => this.#under.get(...asked);
    const { hooks } = this;
    const bytes = await (hooks.get === undefined ? pass(key, range, signal) : hooks.get({ key, range, signal }, pass));
    return this.#whileUp(bytes);
  }

  async head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    this.#enter({ call: "head", key });
    const pass: StorageNode["head"] = (asked) => this.#under.head(asked, signal);
    return this.hooks.head === undefined ? pass(key) : this.hooks.head(key, pass);
  }

  async delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    this.#enter({ call: "delete", key });
    const pass: StorageNode["delete"] = (asked) => this.#under.delete(asked, signal);
    await (this.hooks.delete === undefined ? pass(key) : this.hooks.delete(key, pass));
  }

  async list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    this.#enter({ call: "list" });
    const pass: StorageNode["list"] = (asked) => this.#under.list(asked, signal);
    return this.hooks.list === undefined ? pass(request) : this.hooks.list(request, pass);
  }

  async capacity(signal?: AbortSignal): Promise<Capacity | undefined> {
    this.#refuseIfDown();
    return this.#under.capacity(signal);
  }

  async foreign(signal?: AbortSignal): Promise<ForeignReport> {
    this.#refuseIfDown();
    const pass: StorageNode["foreign"] = () => this.#under.foreign(signal);
    return this.hooks.foreign === undefined ? pass() : this.hooks.foreign(pass);
  }

  async probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    this.#refuseIfDown();
    const pass: StorageNode["probe"] = (asked) => this.#under.probe(asked, signal);
    return this.hooks.probe === undefined ? pass(depth) : this.hooks.probe(depth, pass);
  }

  async readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    this.#refuseIfDown();
    const pass: StorageNode["readIdentity"] = () => this.#under.readIdentity(signal);
    return this.hooks.readIdentity === undefined ? pass() : this.hooks.readIdentity(pass);
  }

  async writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    this.#refuseIfDown();
    await this.#under.writeIdentity(document, signal, over);
  }

  async close(): Promise<void> {
    await this.#under.close();
  }

  async *#whileUp(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      this.#refuseIfDown();
      yield chunk;
    }
  }

  #enter(call: NodeCall): void {
    this.calls.push(call);
    this.#refuseIfDown();
  }

  #refuseIfDown(): void {
    if (this.down) throw new NodeError("unreachable", `storage node ${this.name} is down`);
  }
}
