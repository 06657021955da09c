import { NodeError } from "./storage-node.ts";

/**
 * From open to closed: refuses calls after `close` and ends the waits of those under way. Every driver and wrapper
 * that waits holds one.
 */
export class NodeLifetime {
  readonly #name: string;
  readonly #closing = new AbortController();

  constructor(name: string) {
    this.#name = name;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the node is closed; its reason is the NodeError to answer with. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Called first in every call. @throws NodeError `unreachable` after close, `aborted` when the signal has aborted */
  enter(signal: AbortSignal | undefined): void {
    if (this.closed) throw this.#closedError();
    if (signal?.aborted) throw abortedError(signal);
  }

  close(): void {
    this.#closing.abort(this.#closedError());
  }

  /**
   * The promise's outcome, or a NodeError as soon as the signal aborts (`aborted`) or the node is closed
   * (`unreachable`). What the promise stands for goes on by itself; a late rejection is swallowed.
   */
  wait<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const closing = this.#closing.signal;
      const end = (): void => {
        closing.removeEventListener("abort", onClose);
        signal?.removeEventListener("abort", onAbort);
      };
      const onClose = (): void => {
        end();
        reject(this.#closedError());
      };
      const onAbort = (): void => {
        end();
        reject(abortedError(signal));
      };
      promise.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
      if (this.closed) onClose();
      else if (signal?.aborted) onAbort();
      else {
        closing.addEventListener("abort", onClose, { once: true });
        signal?.addEventListener("abort", onAbort, { once: true });
      }
    });
  }

  #closedError(): NodeError {
    return new NodeError("unreachable", `storage node ${this.#name} is closed`);
  }
}

/** What a call answers whose signal aborted. */
export function abortedError(signal: AbortSignal | undefined): NodeError {
  return new NodeError("aborted", "the caller gave up", { cause: signal?.reason });
}
