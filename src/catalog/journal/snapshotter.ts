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

  /** Whether the last one is too old, or too much was written since; or what the nodes hold is not enough for a rebuild. */
  isDue({ snapshotIntervalMs, snapshotBytes }: Pick<JournalSettings, "snapshotIntervalMs" | "snapshotBytes">): boolean {
    const { clock, shipper, cluster, holdings } = this.#deps;
    const bytes = shipper.bytesShipped - this.#lastBytesShipped;
    if (bytes >= snapshotBytes) return true;
    if (bytes > 0 && clock.monotonicMs() >= this.#lastAtMs + snapshotIntervalMs) return true;
    const known = cluster.nodes().every(({ uuid }) => holdings.knows(uuid));
    return known && new Retention(cluster, holdings).reach < shipper.shippedThrough;
  }

  /** @throws CatalogError; NotDurableError */
  async run(signal: AbortSignal): Promise<void> {
    const { kv, cluster, writer, clock, logger, shipper, onMaking } = this.#deps;
    // A commit of its own, so that no other snapshot begins at the same one.
    await kv.atomic().commit();
    await shipper.flush();
    const base = shipper.shippedThrough;
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
      await shipper.flush();
      const name = { kind: "snapshot", base, chunks, session: this.session } as const;
      await writer.write(name, encodeSnapshot({ ...origin, base, through, chunks, entries, bytes }));
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
