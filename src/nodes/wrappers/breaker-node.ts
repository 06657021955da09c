import { NodeError, type ProbeDepth, type ProbeFinding, type StorageNode } from "../storage-node.ts";
import type { BreakerPass, CircuitBreaker } from "./circuit-breaker.ts";
import { type InnerCall, type InnerRead, isHealthCall, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";
import { WatchedRead } from "./watched-read.ts";

/** Probe checks whose failure says that the node cannot be used at all now, as a call that fails does. */
const VITAL_CHECKS: ReadonlySet<string> = new Set(["reach", "access"]);

/** Turns calls away while the node's breaker is open, and tells the breaker how those that passed ended. */
export class BreakerNode extends NodeWrapper {
  readonly #breaker: CircuitBreaker;
  #closed = false;

  constructor(inner: StorageNode, breaker: CircuitBreaker) {
    super(inner);
    this.#breaker = breaker;
  }

  override async probe(depth: ProbeDepth, signal?: AbortSignal): Promise<readonly ProbeFinding[]> {
    const passage = this.#enter("probe", signal);
    try {
      const findings = await this.inner.probe(depth, signal);
      passage.probed(findings);
      return findings;
    } catch (error) {
      passage.failed(error);
      throw error;
    }
  }

  protected override async call<T>(
    operation: NodeOperation,
    signal: AbortSignal | undefined,
    run: InnerCall<T>,
  ): Promise<T> {
    const passage = this.#enter(operation, signal);
    try {
      const result = await run(signal);
      passage.succeeded();
      return result;
    } catch (error) {
      passage.failed(error);
      throw error;
    }
  }

  protected override async read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    const passage = this.#enter("get", signal);
    try {
      const chunks = await run(signal);
      passage.answered();
      return new WatchedRead(chunks, {
        ended: (error) => (error === undefined ? passage.succeeded() : passage.failed(error)),
      });
    } catch (error) {
      passage.failed(error);
      throw error;
    }
  }

  override async close(): Promise<void> {
    this.#closed = true;
    await this.inner.close();
  }

  #enter(operation: NodeOperation, signal: AbortSignal | undefined): Passage {
    // A node that is closed is to say so itself, and that is no failure.
    if (this.#closed) return new Passage(undefined, undefined);
    return new Passage(this.#breaker.enter(isHealthCall(operation) ? "health" : "data"), signal);
  }
}

/**
 * A call on its way through. Listens to the signal for the timeout of the wrapper outside: a node that hangs may never
 * answer the call, and to the breaker that is the failure that counts most.
 */
class Passage {
  readonly #pass: BreakerPass | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason;
    this.#pass?.failed(reason instanceof NodeError && reason.kind === "timeout" ? reason : undefined);
  };

  constructor(pass: BreakerPass | undefined, signal: AbortSignal | undefined) {
    this.#pass = pass;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  succeeded(): void {
    this.#end();
    this.#pass?.succeeded();
  }

  /** A read has begun. How long its reader takes must not keep others waiting for the outcome of a trial. */
  answered(): void {
    if (this.#pass?.trial === true) this.#pass.succeeded();
  }

  failed(error: unknown): void {
    this.#end();
    this.#pass?.failed(error);
  }

  probed(findings: readonly ProbeFinding[]): void {
    const failed = findings.filter((finding) => !finding.passed);
    const vital = failed.find(({ check }) => VITAL_CHECKS.has(check));
    if (failed.length === 0) this.succeeded();
    else
      this.failed(
        vital && new NodeError(vital.check === "access" ? "access-denied" : "unreachable", "the node failed its probe"),
      );
  }

  #end(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
