import type {
  BlobPage,
  BlobStat,
  ByteRange,
  Capacity,
  CopyKey,
  ForeignReport,
  ListRequest,
  ProbeDepth,
  ProbeFinding,
  PutReceipt,
  PutRequest,
  StorageNode,
} from "../storage-node.ts";

/** The calls of a node by the names that metrics and faults go by. */
export type NodeOperation =
  | "put"
  | "get"
  | "head"
  | "delete"
  | "list"
  | "capacity"
  | "foreign"
  | "probe"
  | "read-identity"
  | "write-identity";

/** One call to the wrapped node, which may be made again. `signal` takes the place of the caller's own. */
export type InnerCall<T> = (signal: AbortSignal | undefined) => Promise<T>;

/** The wrapped node's call to `get`, likewise. */
export type InnerRead = InnerCall<AsyncIterable<Uint8Array>>;

const HEALTH: ReadonlySet<NodeOperation> = new Set<NodeOperation>(["probe", "read-identity", "write-identity"]);

/**
 * Whether the call is one by which membership finds out how the node is. Membership makes them one at a time, so that
 * they wait for nobody's turn and a breaker does not keep them away: who would find out that the node is back?
 */
export function isHealthCall(operation: NodeOperation): boolean {
  return HEALTH.has(operation);
}

/** A node around a node. A wrapper says in `call` and `read` what it does about a call; what it treats apart, it overrides. */
export abstract class NodeWrapper implements StorageNode {
  readonly name: string;
  protected readonly inner: StorageNode;

  constructor(inner: StorageNode) {
    this.name = inner.name;
    this.inner = inner;
  }

  protected abstract call<T>(operation: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T>;

  /** As `call`, for `get`, which goes on until its iteration ends. */
  protected abstract read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>>;

  put(request: PutRequest): Promise<PutReceipt> {
    return this.call("put", request.signal, (signal) =>
      this.inner.put(signal === undefined || signal === request.signal ? request : { ...request, signal }),
    );
  }

  get(key: CopyKey, range: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.read(signal, (inner) => this.inner.get(key, range, inner));
  }

  head(key: CopyKey, signal?: AbortSignal): Promise<BlobStat | undefined> {
    return this.call("head", signal, (inner) => this.inner.head(key, inner));
  }

  delete(key: CopyKey, signal?: AbortSignal): Promise<void> {
    return this.call("delete", signal, (inner) => this.inner.delete(key, inner));
  }

  list(request: ListRequest, signal?: AbortSignal): Promise<BlobPage> {
    return this.call("list", signal, (inner) => this.inner.list(request, inner));
  }

  capacity(signal?: AbortSignal): Promise<Capacity | undefined> {
    return this.call("capacity", signal, (inner) => this.inner.capacity(inner));
  }

  foreign(signal?: AbortSignal): Promise<ForeignReport> {
    return this.call("foreign", signal, (inner) => this.inner.foreign(inner));
  }

  probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    return this.call("probe", signal, (inner) => this.inner.probe(depth, inner));
  }

  readIdentity(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return this.call("read-identity", signal, (inner) => this.inner.readIdentity(inner));
  }

  writeIdentity(document: Uint8Array, signal?: AbortSignal, over?: Uint8Array): Promise<void> {
    return this.call("write-identity", signal, (inner) => this.inner.writeIdentity(document, inner, over));
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
