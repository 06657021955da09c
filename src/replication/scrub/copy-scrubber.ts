/**
 * Reads one copy whole and records what it found: when a good one was verified, that a bad one is bad. Bytes come no
 * faster than the limits let them, and not while clients want the node.
 */
import { type Catalog, SessionEndedError } from "../../catalog/catalog.ts";
import { copyKeyOfIndex } from "../../catalog/keys.ts";
import { CatalogError, type KvEntry } from "../../catalog/kv.ts";
import { isReadable, isSamePlace, type Location, type SlotState } from "../../catalog/records/blob.ts";
import type { Members } from "../../cluster/members.ts";
import { NodeError, type StorageNode } from "../../nodes/storage-node.ts";
import type { Clock } from "../../shared/clock.ts";
import { toError } from "../../shared/errors.ts";
import type { Id } from "../../shared/ids.ts";
import type { CopyDamage } from "../read/blob-reader.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { verifyCopy } from "../verify-copy.ts";
import { findCopy, isJournals, type KnownCopy } from "./copies-of-node.ts";
import { yieldToClients } from "./foreground.ts";
import { Throttle } from "./throttle.ts";

export interface ScrubLimits {
  /** Whether passes begin by themselves. */
  readonly enabled: boolean;
  /** In which every copy is to be read at least once. */
  readonly intervalMs: number;
  /** Of each node. */
  readonly bytesPerSecond: number;
  readonly copiesPerSecond: number;
}

export type ScrubRates = Pick<ScrubLimits, "bytesPerSecond" | "copiesPerSecond">;

export interface ScrubObserver {
  verified(node: string, bytes: number): void;
  /** A copy was found bad, and is on record as such. */
  bad(node: string, kind: CopyDamage["kind"]): void;
}

export interface CopyScrubberDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly ledger: SlotLedger;
  /** Takes a bad copy out of service, so that it is replaced. */
  readonly recordDamage: (damage: CopyDamage) => Promise<void>;
  /** Whether clients keep the node busy. */
  readonly busy: (nodeUuid: Id) => boolean;
  readonly clock: Clock;
  readonly limits: ScrubLimits;
  readonly observer: ScrubObserver;
}

/** `failed`: nothing is known of the copy; `temporary` when the node may only have been away. */
export type Finding =
  | { readonly kind: "skipped" | "corrupt" | "lost" }
  | { readonly kind: "verified"; readonly bytes: number }
  | { readonly kind: "failed"; readonly temporary: boolean; readonly error: Error };

const SKIPPED: Finding = { kind: "skipped" };

export class CopyScrubber {
  readonly #deps: CopyScrubberDeps;
  readonly #node: { readonly uuid: Id; readonly name: string };
  readonly #bytes: Throttle;
  readonly #copies: Throttle;

  constructor(deps: CopyScrubberDeps, node: { readonly uuid: Id; readonly name: string }) {
    this.#deps = deps;
    this.#node = node;
    this.#bytes = new Throttle(deps.clock, deps.limits.bytesPerSecond);
    this.#copies = new Throttle(deps.clock, deps.limits.copiesPerSecond);
  }

  /** From now on. */
  setRates({ bytesPerSecond, copiesPerSecond }: ScrubRates): void {
    this.#bytes.set(bytesPerSecond);
    this.#copies.set(copiesPerSecond);
  }

  /**
   * Looks at the copy that an entry under the node names. Whatever is wrong with it, or with its record, is a finding.
   * @param verifiedSinceMs a copy that was verified then or later is skipped
   * @throws the signal's reason; CatalogError, SessionEndedError
   */
  async look(entry: KvEntry, verifiedSinceMs: number, signal: AbortSignal): Promise<Finding> {
    try {
      return await this.#look(entry, verifiedSinceMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CatalogError || error instanceof SessionEndedError) throw error;
      return { kind: "failed", temporary: error instanceof NodeError && error.temporary, error: toError(error) };
    }
  }

  async #look(entry: KvEntry, verifiedSinceMs: number, signal: AbortSignal): Promise<Finding> {
    const { catalog, members, clock, busy, observer } = this.#deps;
    const { uuid, name } = this.#node;
    const location: Location = { nodeUuid: uuid, key: copyKeyOfIndex(entry.key) };
    if (isJournals(location.key)) return SKIPPED;
    const copy = await findCopy(catalog.kv, location, entry.value);
    if (copy === undefined || isVerifiedSince(copy, verifiedSinceMs)) return SKIPPED;
    await yieldToClients({ clock, busy: () => busy(uuid) }, signal);
    await this.#copies.take(1, signal);
    const member = members().get(uuid);
    if (member === undefined || !members().servesReads(uuid)) {
      throw new NodeError("unreachable", "the node cannot be asked now");
    }
    const verdict = await verifyCopy(this.#throttled(member.node, signal), copy.blob, { key: location.key, signal });
    if (verdict === "good") {
      observer.verified(name, copy.blob.length);
      await this.#recordVerified(copy);
      return { kind: "verified", bytes: copy.blob.length };
    }
    // It may have been replaced and deleted while it was read.
    if ((await findCopy(catalog.kv, location, entry.value)) === undefined) return SKIPPED;
    await this.#deps.recordDamage({ blobId: copy.blob.blobId, slot: copy.number, location, kind: verdict });
    observer.bad(name, verdict);
    return { kind: verdict };
  }

  #throttled(node: StorageNode, signal: AbortSignal): Pick<StorageNode, "get"> {
    const throttle = this.#bytes;
    async function* paced(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
      for await (const chunk of chunks) {
        await throttle.take(chunk.length, signal);
        yield chunk;
      }
    }
    return { get: async (...asked) => paced(await node.get(...asked)) };
  }

  async #recordVerified({ blob: { blobId }, home, number, slot: { location } }: KnownCopy): Promise<void> {
    const { ledger, clock } = this.#deps;
    await ledger.change(blobId, home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot === undefined || !isReadable(slot) || !isSamePlace(slot.location, location)) return undefined;
      const state: SlotState = slot.state === "unverified" ? "ok" : slot.state;
      return { slots: withSlot(blob.slots, number, { ...slot, state, verifiedAtMs: clock.nowMs() }) };
    });
  }
}

function isVerifiedSince({ slot: { state, verifiedAtMs } }: KnownCopy, sinceMs: number): boolean {
  return state !== "unverified" && verifiedAtMs !== undefined && verifiedAtMs >= sinceMs;
}
