/**
 * Looks at the catalog's store and the machines' disks from above, past all gateways: whether each commit and each
 * deletion was right when it happened, and which copies a fault may take without asking for more than was promised.
 */
import { decodeCopyEntry, locateBlob } from "../../src/catalog/blobs.ts";
import { copiesRange, copyIndexKey, copyKeyOfIndex, sessionKey } from "../../src/catalog/keys.ts";
import type { Kv } from "../../src/catalog/kv.ts";
import type { KvCommitRequest } from "../../src/catalog/kv-atomic.ts";
import { isReadable, isSamePlace } from "../../src/catalog/records/blob.ts";
import { decodeSession } from "../../src/catalog/records/cluster.ts";
import { decodeDying } from "../../src/catalog/records/dying.ts";
import { pack, unpack } from "../../src/catalog/tuple.ts";
import type { NodeRecord } from "../../src/cluster/topology-records.ts";
import { sessionOfCopyKey } from "../../src/nodes/copy-key.ts";
import type { CopyKey } from "../../src/nodes/storage-node.ts";
import { isJournals } from "../../src/replication/scrub/copies-of-node.ts";
import { type Id, idFromBytes } from "../../src/shared/ids.ts";
import { liveBlobs, readCatalog } from "../support/catalog-contents.ts";
import type { Machine } from "./machine.ts";
import type { CaseConfig } from "./plan.ts";

const COPY_PREFIX = pack(["copy"]);
const DYING_PREFIX = pack(["dying"]);
/** After a fault took a copy that a commit under way may still point to, no other copy is taken for so long. */
const SETTLING_MS = 40_000;

export interface OracleDeps {
  readonly store: () => Kv;
  readonly config: CaseConfig;
  readonly nowMs: () => number;
  /** The last commit that the journal has. */
  readonly shippedThrough: () => number;
  /** By the uuid under which the cluster knows, or knew, it. */
  readonly machineOf: (uuid: Id) => Machine | undefined;
  readonly machines: () => readonly Machine[];
  readonly uuidOf: (machine: Machine) => Id | undefined;
  /** The domain that a node serves now. */
  readonly domainOf: (uuid: Id, machine: Machine) => string | undefined;
  /** The least quorum by which a write that ends now may be acknowledged. */
  readonly quorum: () => number;
  readonly onViolation: (what: string) => void;
}

export class Oracle {
  readonly #deps: OracleDeps;
  /** The bytes of every blob, as the first copy of it that became durable has them. */
  readonly #bytes = new Map<Id, Uint8Array>();
  /** Copies that were committed, as `uuid/key`. */
  readonly #committed = new Set<string>();
  /** By copy, as `uuid/key`: the commit with which its blob died. */
  readonly #diedWith = new Map<string, number>();
  #nothingTakenBeforeMs = 0;

  constructor(deps: OracleDeps) {
    this.#deps = deps;
  }

  /** I2, I6: a commit points only to copies that are durable, whole and right, and to enough of them. */
  committed(by: string, { mutations }: KvCommitRequest, version: number): void {
    const { machineOf, onViolation } = this.#deps;
    const fresh = new Map<Id, Set<Machine>>();
    for (const mutation of mutations) {
      if (mutation.kind !== "set") continue;
      if (beginsWith(mutation.key, DYING_PREFIX)) this.#noteDying(mutation.value, version);
      if (!beginsWith(mutation.key, COPY_PREFIX)) continue;
      const uuid = uuidIn(mutation.key);
      const key = copyKeyOfIndex(mutation.key);
      const place = `${uuid}/${key}`;
      if (this.#committed.has(place)) continue;
      this.#committed.add(place);
      const { blobId } = decodeCopyEntry(mutation.value);
      const machine = machineOf(uuid);
      const copy = machine?.written.get(key);
      if (machine === undefined || copy === undefined) {
        onViolation(`${by} committed copy ${key} on ${machine?.name ?? uuid}, which is not durable there (I2)`);
        continue;
      }
      if (!machine.store.blobs.has(key) && !machine.destroyed.has(key)) {
        onViolation(`${by} committed copy ${key} on ${machine.name}, which had been deleted (I4)`);
      }
      const right = this.#bytes.get(blobId);
      if (right === undefined) this.#bytes.set(blobId, copy.bytes);
      else if (Buffer.compare(right, copy.bytes) !== 0) {
        onViolation(`${by} committed copy ${key} on ${machine.name}, which has other bytes than its blob (I6)`);
      }
      if (copy.blobId !== blobId) onViolation(`${by} committed copy ${key}, which is of another blob`);
      if (right === undefined || fresh.has(blobId)) fresh.set(blobId, (fresh.get(blobId) ?? new Set()).add(machine));
    }
    for (const [blobId, machines] of fresh) this.#checkEnough(by, blobId, machines);
  }

  #noteDying(value: Uint8Array, version: number): void {
    const dying = decodeDying(value);
    if (dying.kind !== "copies") return;
    for (const { nodeUuid, key } of dying.copies) this.#diedWith.set(`${nodeUuid}/${key}`, version);
  }

  #checkEnough(by: string, blobId: Id, machines: ReadonlySet<Machine>): void {
    const { domainOf, uuidOf } = this.#deps;
    const { degraded } = this.#deps.config;
    const quorum = this.#deps.quorum();
    const domains = new Set([...machines].map((machine) => domainOf(uuidOf(machine) ?? "", machine))).size;
    const enough = domains >= quorum || (degraded.enabled && machines.size >= degraded.minReplicas);
    if (enough) return;
    this.#deps.onViolation(
      `${by} committed blob ${blobId} with ${machines.size} copies in ${domains} domains; the quorum is ${quorum} (I2)`,
    );
  }

  /** I4, I6: no copy goes that a live blob still points to. */
  async deleting(machine: Machine, key: CopyKey, by: string): Promise<void> {
    const { store, uuidOf, shippedThrough, onViolation } = this.#deps;
    const nodeUuid = uuidOf(machine);
    if (machine.foreign.has(key)) onViolation(`${by} deletes ${key} on ${machine.name}, which is foreign (I11)`);
    if (nodeUuid === undefined) return;
    if ((this.#diedWith.get(`${nodeUuid}/${key}`) ?? 0) > shippedThrough()) {
      onViolation(`${by} deletes copy ${key} on ${machine.name} before the journal has that its blob died (I1)`);
    }
    const entry = await store().get(copyIndexKey(nodeUuid, key));
    if (entry === undefined) return;
    const { blobId, slot, home } = decodeCopyEntry(entry.value);
    const located = await locateBlob(store(), blobId, home);
    if (located === undefined || !isSamePlace(located.blob.slots[slot]?.location, { nodeUuid, key })) return;
    onViolation(`${by} deletes copy ${key} on ${machine.name}, which slot ${slot} of live blob ${blobId} is (I4)`);
  }

  /** A node's record goes with the last copy on it. */
  async removed({ uuid, name }: Pick<NodeRecord, "uuid" | "name">, by: string): Promise<void> {
    for (const { blobId, slots } of liveBlobs(await readCatalog(this.#deps.store())).values()) {
      if (!slots.some(({ location }) => location?.nodeUuid === uuid)) continue;
      this.#deps.onViolation(`${by} takes ${name} out of the cluster, on which blob ${blobId} has a copy (I1)`);
    }
  }

  /** A job that says to have emptied nodes has. */
  async drained(nodes: readonly Pick<NodeRecord, "uuid" | "name">[], by: string): Promise<void> {
    for (const { uuid, name } of nodes) {
      const left = await this.#deps.store().list(copiesRange(uuid), { limit: 1 });
      if (left.length > 0) this.#deps.onViolation(`${by} says that ${name} is drained, and a copy is on record there`);
    }
  }

  /**
   * Whether these copies on a machine may be lost by a fault without asking for more than was promised: whatever was
   * acknowledged keeps a copy that is on record as good and that no fault has touched.
   */
  async mayLose(machine: Machine, keys: ReadonlySet<CopyKey>): Promise<boolean> {
    const { store, nowMs, machineOf, machines } = this.#deps;
    if (nowMs() < this.#nothingTakenBeforeMs) return false;
    const contents = await readCatalog(store());
    const claims = new Map<Id, { lost: number; kept: number }>();
    const recorded = new Set<CopyKey>();
    for (const blob of liveBlobs(contents).values()) {
      const claim = { lost: 0, kept: 0 };
      for (const slot of blob.slots) {
        if (slot.location === undefined) continue;
        const at = machineOf(slot.location.nodeUuid);
        const { key } = slot.location;
        const lost = at === machine && keys.has(key);
        if (lost) recorded.add(key);
        if (at === undefined || at.destroyed.has(key)) continue;
        // One that is on record as bad may be the last good one: a flipped bit on the way was taken for its own.
        if (lost) claim.lost++;
        else if (isReadable(slot) && slot.state !== "unverified") claim.kept++;
      }
      claims.set(blob.blobId, claim);
      if (claim.lost > 0 && claim.kept === 0) return false;
    }
    let unsettled = false;
    for (const key of keys) {
      const copy = machine.written.get(key);
      // What the journal loses is of no weight as long as there is a catalog.
      if (copy === undefined || recorded.has(key) || isJournals(key)) continue;
      // On its way into the catalog, perhaps: in place of another copy, or as one of a new blob.
      const claim = claims.get(copy.blobId);
      const dying = contents.copies.has(`${this.#deps.uuidOf(machine) ?? ""}/${key}`);
      if (dying) continue;
      unsettled = true;
      const others = machines().filter(
        (other) => other !== machine && [...other.store.blobs.values()].some(({ blobId }) => blobId === copy.blobId),
      );
      // Of a new blob nobody but its writer knows which copies it heard of.
      if (claim === undefined && (others.length === 0 || (await this.#isLive(key)))) return false;
      if (claim !== undefined && claim.kept < 2) return false;
    }
    if (unsettled) this.#nothingTakenBeforeMs = nowMs() + SETTLING_MS;
    return true;
  }

  /** Whether the session that wrote a copy may still commit it. */
  async #isLive(key: CopyKey): Promise<boolean> {
    const entry = await this.#deps.store().get(sessionKey(sessionOfCopyKey(key)));
    return entry !== undefined && decodeSession(entry.value).state !== "ended";
  }

  /** Copies that are on record as good and untouched, in a fixed order. */
  async goodCopies(): Promise<{ machine: Machine; key: CopyKey }[]> {
    const contents = await readCatalog(this.#deps.store());
    const found: { machine: Machine; key: CopyKey }[] = [];
    for (const place of [...contents.copies.keys()].sort()) {
      const [uuid = "", ...key] = place.split("/");
      const machine = this.#deps.machineOf(uuid);
      const copyKey = key.join("/");
      if (machine?.store.blobs.has(copyKey) === true && !machine.destroyed.has(copyKey)) {
        found.push({ machine, key: copyKey });
      }
    }
    return found;
  }
}

function beginsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, at) => key[at] === byte);
}

function uuidIn(key: Uint8Array): Id {
  const uuid = unpack(key)[1];
  if (!(uuid instanceof Uint8Array)) throw new TypeError("not the key of a copy");
  return idFromBytes(uuid);
}
