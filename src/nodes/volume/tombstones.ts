import { crc32c } from "../../shared/crc32c.ts";
import type { CopyKey } from "../storage-node.ts";
import { encodeTombstones, NO_ID, NO_KEY, RECORD_TOMBSTONE, TOMBSTONE_KEYS_MAX } from "./layout.ts";
import type { RecordDraft, SmallLane } from "./small-lane.ts";

interface Waiting {
  readonly key: CopyKey;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface TombstonesOptions {
  readonly lane: SmallLane;
  /** Called for every key whose deletion is durable. */
  readonly buried: (key: CopyKey, volume: number) => void;
}

/** Makes deletions durable, as many as are waiting in one record. */
export class Tombstones {
  readonly #options: TombstonesOptions;
  #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;

  constructor(options: TombstonesOptions) {
    this.#options = options;
  }

  /** Resolves when the deletion is durable and in the index. @throws NodeError */
  bury(key: CopyKey): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, TOMBSTONE_KEYS_MAX);
      try {
        await this.#write(batch.map(({ key }) => key));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#working = undefined;
  }

  #write(keys: readonly CopyKey[]): Promise<void> {
    const draft = tombstoneDraft(keys, (volume) => {
      for (const key of keys) this.#options.buried(key, volume.number);
    });
    return this.#options.lane.append(draft);
  }
}

/** A record of the deletion of 1 to TOMBSTONE_KEYS_MAX keys. */
export function tombstoneDraft(keys: readonly CopyKey[], durable: RecordDraft["durable"]): RecordDraft {
  const body = encodeTombstones(keys);
  return {
    kind: RECORD_TOMBSTONE,
    key: NO_KEY,
    blobId: NO_ID,
    length: body.length,
    chunks: [body],
    blockCrcs: [crc32c(body)],
    durable,
  };
}
