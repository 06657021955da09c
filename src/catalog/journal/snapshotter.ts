/**
 * Writes the whole catalog to the nodes. The walk is not one moment's picture: it shows some of what is committed
 * while it goes on. Replaying the journal from where it began brings each entry to what it was in the end, since the
 * journal says what an entry became, not how it changed.
 */
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import { walk } from "../catalog.ts";
import { WHOLE_CATALOG } from "../keys.ts";
import type { KvEntry, KvStore } from "../kv.ts";
import { isLocal } from "../kv-atomic.ts";
import type { Holdings } from "./holdings.ts";
import type { JournalCluster } from "./journal-nodes.ts";
import type { JournalSettings } from "./journal-settings.ts";
import type { PieceWriter } from "./piece-writer.ts";
import { encodeChunk, encodeSnapshot } from "./pieces.ts";
import { Retention } from "./retention.ts";
import type { Shipper } from "./shipper.ts";

/** Bytes of entries in one chunk, about. */
const CHUNK_BYTES = 4 * 1024 * 1024;
const PAGE_ENTRIES = 1_000;

export interface SnapshotterDeps {
  readonly kv: KvStore;
  readonly cluster: JournalCluster;
  readonly holdings: Holdings;
  readonly writer: PieceWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shipper: Shipper;
  /** Told of the base of the snapshot that is being made, and when none is any more. */
  readonly onMaking: (base: number | undefined) => void;
  /** Told of a snapshot that was made because the journal was broken: it goes on behind it. */
  readonly onFollowed: (snapshot: { readonly base: number; readonly through: number }) => void;
}

export class Snapshotter {
  readonly #deps: SnapshotterDeps;
  session = 0;
  #lastAtMs: number;
  #lastBytesShipped = 0;

  constructor(deps: SnapshotterDeps) {
    this.#deps = deps;
    this.#lastAtMs = deps.clock.monotonicMs();
  }

  /**
   * Whether what the nodes hold, of those that could be asked, is not enough for a rebuild, or too few domains have it
   * and another one that could did not get it from them, as the only copy of a piece is damaged. Nothing can be made
   * durable then but behind a new snapshot.
   */
  get broken(): boolean {
    const { shipper, cluster, holdings } = this.#deps;
    const retention = new Retention(cluster, holdings);
    const through = shipper.shippedThrough;
    if (retention.reach < through) return true;
    const domains = cluster.domains();
    const behind = domains.filter((domain) => retention.reachIn(domain) < through);
    const enough = domains.length - behind.length >= Math.min(cluster.quorum(), domains.length);
    return !enough && cluster.nodes().some((node) => behind.includes(node.domain) && node.takesWrites());
  }

  /** Whether the last one is too old, or too much was written since; or there is none that can be used. */
  isDue({ snapshotIntervalMs, snapshotBytes }: Pick<JournalSettings, "snapshotIntervalMs" | "snapshotBytes">): boolean {
    const { clock, shipper, cluster, holdings } = this.#deps;
    const bytes = shipper.bytesShipped - this.#lastBytesShipped;
    if (bytes >= snapshotBytes) return true;
    if (bytes > 0 && clock.monotonicMs() >= this.#lastAtMs + snapshotIntervalMs) return true;
    const known = cluster.nodes().every(({ uuid }) => holdings.knows(uuid));
    return (known || shipper.failure !== undefined) && this.broken;
  }

  /** @throws CatalogError; NotDurableError */
  async run(signal: AbortSignal): Promise<void> {
    const { kv, cluster, writer, clock, logger, shipper, onMaking, onFollowed } = this.#deps;
    // A commit of its own, so that no other snapshot begins at the same one.
    await kv.atomic().commit();
    const { broken } = this;
    if (!broken) await shipper.flush();
    const base = broken ? await kv.version() : shipper.shippedThrough;
    const bytesShipped = shipper.bytesShipped;
    const origin = { clusterId: cluster.clusterId, session: this.session, madeAtMs: clock.nowMs() };
    onMaking(base);
    try {
      let [chunks, entries, bytes] = [0, 0, 0];
      for await (const chunk of this.#chunks(signal)) {
        const encoded = encodeChunk(origin, chunk);
        await writer.write({ kind: "chunk", base, number: chunks++, session: this.session }, encoded);
        entries += chunk.length;
        bytes += encoded.length;
      }
      const through = await kv.version();
      if (!broken) await shipper.flush();
      const name = { kind: "snapshot", base, chunks, session: this.session } as const;
      await writer.write(name, encodeSnapshot({ ...origin, base, through, chunks, entries, bytes }));
      if (broken) onFollowed({ base, through });
      this.#lastAtMs = clock.monotonicMs();
      this.#lastBytesShipped = bytesShipped;
      logger.info({ base, through, entries, bytes }, "a snapshot of the catalog was made");
    } finally {
      onMaking(undefined);
    }
  }

  async *#chunks(signal: AbortSignal): AsyncGenerator<KvEntry[], void, undefined> {
    let chunk: KvEntry[] = [];
    let bytes = 0;
    for await (const entry of walk(this.#deps.kv, WHOLE_CATALOG, PAGE_ENTRIES)) {
      signal.throwIfAborted();
      if (isLocal(entry.key)) continue;
      chunk.push(entry);
      bytes += entry.key.length + entry.value.length;
      if (bytes < CHUNK_BYTES) continue;
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    if (chunk.length > 0) yield chunk;
  }
}
