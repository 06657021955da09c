/**
 * Slots of a domain that is drained away and whose copy, if they have one, is not on its nodes: missing ones, hand-off
 * copies elsewhere, dead letters. Nothing of them is to be moved off those nodes, and nowhere in their domain can repair
 * make a copy any more. They become slots of the domain that takes over, or, where that one holds a copy of the blob, of
 * another one that holds none; repair fills them there.
 */
import { type BlobHome, decodeRepairEntry, locateBlob } from "../../catalog/blobs.ts";
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { deadLettersRange, partsOfDeadLetterKey, partsOfRepairKey, repairRange } from "../../catalog/keys.ts";
import type { Blob, Slot } from "../../catalog/records/blob.ts";
import { decodeDeadLetter } from "../../catalog/records/dead-letter.ts";
import type { Members } from "../../cluster/members.ts";
import type { Id } from "../../shared/ids.ts";
import { type SlotLedger, withSlot } from "../slot-ledger.ts";
import { forEachConcurrently } from "../worker.ts";

const CONCURRENCY = 8;

interface SlotOf {
  readonly blobId: Id;
  readonly slot: number;
  readonly home: BlobHome;
}

export interface TakeOver {
  readonly from: string;
  readonly to: string;
  /** Told of a slot for which no domain is free. */
  readonly onHomeless: (slot: Omit<SlotOf, "home">) => Promise<void>;
}

/** @throws CatalogError, SlotContentionError; an AggregateError of several */
export async function changeSlotsOfDomain(
  {
    catalog,
    ledger,
    members,
  }: {
    readonly catalog: Catalog;
    readonly ledger: SlotLedger;
    readonly members: () => Members;
  },
  { from, to, onHomeless }: TakeOver,
  signal: AbortSignal,
): Promise<void> {
  await forEachConcurrently(slotsWithWork(catalog), CONCURRENCY, signal, async ({ blobId, slot: number, home }) => {
    const found = (await locateBlob(catalog.kv, blobId, home))?.blob.slots[number];
    if (found === undefined || !isLeft(members(), found, from)) return;
    let homeless = false;
    await ledger.change(blobId, home, ({ blob }) => {
      const slot = blob.slots[number];
      if (slot === undefined || !isLeft(members(), slot, from)) return undefined;
      const domain = domainFor(members(), blob, { number, to });
      homeless = domain === undefined;
      return domain === undefined ? undefined : { slots: withSlot(blob.slots, number, { ...slot, domain }) };
    });
    if (homeless) await onHomeless({ blobId, slot: number });
  });
}

async function* slotsWithWork({ kv }: Catalog): AsyncGenerator<SlotOf, void, undefined> {
  for await (const { key, value } of walk(kv, repairRange())) {
    yield { ...partsOfRepairKey(key), home: decodeRepairEntry(value).home };
  }
  for await (const { key, value } of walk(kv, deadLettersRange())) {
    yield { ...partsOfDeadLetterKey(key), home: decodeDeadLetter(value).home };
  }
}

/** Whether a slot of the domain is not emptied by moving its copy off one of the domain's nodes. */
function isLeft(members: Members, slot: Slot, from: string): boolean {
  if (slot.domain !== from || slot.state === "surplus") return false;
  return slot.location === undefined || members.get(slot.location.nodeUuid)?.spec.domain !== from;
}

/** Two copies in one domain are worth one. */
function domainFor(
  { topology }: Members,
  { slots }: Blob,
  { number, to }: { readonly number: number; readonly to: string },
): string | undefined {
  const taken = new Set(
    slots.flatMap(({ domain, state }, at) => (at === number || state === "surplus" ? [] : [domain])),
  );
  const others = topology.domains.filter(({ role, acceptsWrites }) => role === "active" && acceptsWrites);
  return [to, ...others.map(({ name }) => name)].find((name) => !taken.has(name));
}
