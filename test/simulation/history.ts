/** What clients asked for and saw, by key, and what versions and ETags stand for. */
import { type HistoryOp, unexplained, type Way } from "./linearizability.ts";

/** An operation that was called and not answered yet. */
export interface OpenCall {
  readonly calledAt: number;
  readonly label: string;
}

/** What one operation says of one key. */
export interface Finding {
  /** `bucket/key`, or a bucket. */
  readonly path: string;
  readonly ways: readonly Way[];
}

export class History {
  readonly #byPath = new Map<string, HistoryOp[]>();
  readonly #bytes = new Map<string, Buffer>();
  readonly #etags = new Map<string, string>();
  #moments = 0;
  readonly #onViolation: (what: string) => void;

  constructor(onViolation: (what: string) => void) {
    this.#onViolation = onViolation;
  }

  call(label: string): OpenCall {
    return { calledAt: this.#moments++, label };
  }

  /** The answer came; all that it says. */
  answered({ calledAt, label }: OpenCall, findings: readonly Finding[]): void {
    const answeredAt = this.#moments++;
    for (const { path, ways } of findings) this.#add(path, { label, calledAt, answeredAt, ways });
  }

  /** No answer came, or one that tells nothing: what may have happened, now or later. */
  unanswered({ calledAt, label }: OpenCall, findings: readonly Finding[]): void {
    for (const { path, ways } of findings) this.#add(path, { label, calledAt, answeredAt: Infinity, ways });
  }

  #add(path: string, op: HistoryOp): void {
    const ops = this.#byPath.get(path) ?? [];
    ops.push(op);
    this.#byPath.set(path, ops);
  }

  /** The bytes that an ETag stands for: noted before anything with it is sent. */
  noteBytes(etag: string, bytes: Buffer): void {
    this.#bytes.set(etag, bytes);
  }

  bytesOf(etag: string): Buffer | undefined {
    return this.#bytes.get(etag);
  }

  /** A version has one ETag for ever. */
  noteVersion(version: string, etag: string): void {
    const before = this.#etags.get(version);
    if (before !== undefined && before !== etag) {
      this.#onViolation(`version ${version} has ETag ${etag}, and had ${before} before`);
    }
    this.#etags.set(version, etag);
  }

  etagOf(version: string): string | undefined {
    return this.#etags.get(version);
  }

  /** Checks every key. */
  check(): void {
    for (const [path, ops] of this.#byPath) {
      const problem = unexplained(ops, (version) => this.#etags.get(version));
      if (problem !== undefined) this.#onViolation(`${path} is not linearizable (I8): ${problem}`);
    }
  }
}
