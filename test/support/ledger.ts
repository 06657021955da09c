import { patternBytes } from "./files.ts";

/** Bytes of an object, as little of them as is needed to make them again. */
export interface Content {
  readonly seed: number;
  readonly length: number;
}

/** What a key may answer: content, or nothing there. */
export type State = Content | "absent";

export function bytesOf(content: Content): Buffer {
  return patternBytes(content.length, content.seed);
}

/**
 * What every key of a bucket must answer. A write that is under way or ended without an answer leaves a key in doubt:
 * until somebody looks, it may be in the state before or in the state after, and in no other.
 *
 * The keys of a ledger belong to one writer each, so that a key's operations come one after the other.
 */
export class Ledger {
  readonly #states = new Map<string, readonly State[]>();

  possible(key: string): readonly State[] {
    return this.#states.get(key) ?? ["absent"];
  }

  /** The one state a key is in; throws where it is in doubt. */
  known(key: string): State {
    const [state, ...others] = this.possible(key);
    if (state === undefined || others.length > 0) throw new Error(`${key} is in doubt`);
    return state;
  }

  attempted(key: string, state: State): void {
    this.#states.set(key, [...this.possible(key), state]);
  }

  acknowledged(key: string, state: State): void {
    this.#states.set(key, [state]);
  }

  keys(): string[] {
    return [...this.#states.keys()].sort();
  }

  /** The keys that must be listed, where no key is in doubt. */
  presentKeys(): string[] {
    return this.keys().filter((key) => this.known(key) !== "absent");
  }

  /**
   * Checks what was read against what may be there, and holds the key to it from now on. Throws with what is wrong:
   * an acknowledged object lost, a deleted one back, or bytes that nobody wrote.
   */
  observed(key: string, bytes: Uint8Array | "absent"): void {
    const possible = this.possible(key);
    const found = possible.find((state) =>
      state === "absent" || bytes === "absent" ? state === bytes : bytesOf(state).equals(bytes),
    );
    if (found === undefined) {
      const expected = possible.map((state) =>
        state === "absent" ? state : `${state.length} bytes of seed ${state.seed}`,
      );
      const seen = bytes === "absent" ? bytes : `${bytes.length} other bytes`;
      throw new Error(`${key} must be ${expected.join(" or ")}, and is ${seen}`);
    }
    this.acknowledged(key, found);
  }
}
