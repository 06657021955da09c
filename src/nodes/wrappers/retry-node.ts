import { type Clock, sleep } from "../../shared/clock.ts";
import type { Random } from "../../shared/random.ts";
import { NodeLifetime } from "../node-lifetime.ts";
import { NodeError, type NodeErrorKind, type PutReceipt, type PutRequest, type StorageNode } from "../storage-node.ts";
import type { RetryLimits } from "./limits.ts";
import { type InnerCall, type InnerRead, isHealthCall, type NodeOperation, NodeWrapper } from "./node-wrapper.ts";
import { NotAskedError } from "./not-asked-error.ts";

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: RetryLimits;
}

/** After which the caller of a put takes it that the node holds nothing of it. */
const NEVER_SENT: ReadonlySet<NodeErrorKind> = new Set<NodeErrorKind>(["busy", "refused", "invalid"]);

/**
 * Makes calls again that failed in a way that may pass, where that is safe: gets that have not begun, head, delete, list,
 * and puts whose blocks are all in memory. Health checks are not: whoever makes them wants to know how the node is.
 *
 * A put is sent again under the same key. The first attempt may be under way still and land later, even after the
 * second was answered: it brings the same bytes, so nobody can tell. Should it land after the copy was deleted, it is
 * garbage under a key that nothing refers to and nothing ever will.
 */
export class RetryNode extends NodeWrapper {
  readonly #deps: RetryDeps;
  readonly #lifetime: NodeLifetime;
  /** Retries that may still be made; see RetryLimits. */
  #budget: number;

  constructor(inner: StorageNode, deps: RetryDeps) {
    super(inner);
    this.#deps = deps;
    this.#lifetime = new NodeLifetime(inner.name);
    this.#budget = deps.limits.budgetMax;
  }

  override async put(request: PutRequest): Promise<PutReceipt> {
    if (Symbol.asyncIterator in request.blocks) return this.inner.put(request);
    let perhapsTaken: NodeError | undefined;
    const attempt = async (): Promise<PutReceipt> => {
      try {
        return await this.inner.put(request);
      } catch (error) {
        if (error instanceof NodeError && !NEVER_SENT.has(error.kind)) perhapsTaken ??= error;
        throw error;
      }
    };
    try {
      return await this.#repeat(request.signal, attempt);
    } catch (error) {
      // That the last attempt never reached the node must not hide that an earlier one may have.
      if (perhapsTaken !== undefined && error instanceof NodeError && NEVER_SENT.has(error.kind)) throw perhapsTaken;
      throw error;
    }
  }

  protected override call<T>(operation: NodeOperation, signal: AbortSignal | undefined, run: InnerCall<T>): Promise<T> {
    return isHealthCall(operation) ? run(signal) : this.#repeat(signal, () => run(signal));
  }

  protected override read(signal: AbortSignal | undefined, run: InnerRead): Promise<AsyncIterable<Uint8Array>> {
    return this.#repeat(signal, () => run(signal));
  }

  override async close(): Promise<void> {
    this.#lifetime.close();
    await this.inner.close();
  }

  async #repeat<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    const { limits } = this.#deps;
    for (let attempts = 1; ; attempts++) {
      try {
        const result = await attempt();
        this.#budget = Math.min(limits.budgetMax, this.#budget + limits.budgetPerSuccess);
        return result;
      } catch (error) {
        if (!mayPass(error) || attempts >= limits.attemptsMax || this.#budget < 1 || this.#lifetime.closed) throw error;
        this.#budget -= 1;
        await this.#backOff(attempts, signal);
      }
    }
  }

  async #backOff(attempts: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random, limits } = this.#deps;
    const longestMs = Math.min(limits.backoffMsMax, limits.backoffMs * 2 ** (attempts - 1));
    await this.#lifetime.wait(sleep(clock, random.float() * longestMs, signal), signal);
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof NodeError && error.temporary && !(error instanceof NotAskedError);
}
