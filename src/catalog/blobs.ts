/**
 * The ledger of blobs and their copies. Every change to a blob's slots goes through here, so that what is kept beside
 * the record (which copies a node holds, which slots want repair, which copies are to be deleted) is written in the
 * same commit as the record itself.
 */
import { type Id, idBytes } from "../shared/ids.ts";
import { blobKey, copyIndexKey, deadLetterKey, dyingKey, nodeKey, objectKey, repairKey } from "./keys.ts";
import type { Kv, KvAtomic, KvEntry, KvKey } from "./kv.ts";
import {
  type Blob,
  decodeBlob,
  encodeBlob,
  isReadable,
  isSamePlace,
  type Location,
  SLOT_STATES,
  type Slot,
  type SlotState,
  wantsRepair,
} from "./records/blob.ts";
import { decodeRecord, encodeRecord } from "./records/codec.ts";
import { type DeadLetter, decodeDeadLetter, encodeDeadLetter } from "./records/dead-letter.ts";
import { encodeDying } from "./records/dying.ts";
import { type BlobHome, homeFields, readHome } from "./records/home.ts";
import { decodeVersion, encodeVersion, type Version } from "./records/version.ts";

export type { BlobHome };

/** A blob's record as found, with what a commit needs to change it. */
export interface LocatedBlob {
  readonly blob: Blob;
  readonly home: BlobHome;
  readonly entryKey: KvKey;
  readonly entryVersion: number;
  /** The version that holds the blob, where it is inline. */
  readonly holder?: Version;
}

/** A blob's record with the entries of its slots that want repair, by slot number. A slot has one in either, or none. */
export interface LocatedWork extends LocatedBlob {
  readonly repairs: ReadonlyMap<number, RepairEntry>;
  readonly deadLetters: ReadonlyMap<number, DeadLetter>;
}

/** Kept for each copy under its node. */
export interface CopyEntry {
  readonly blobId: Id;
  readonly slot: number;
  readonly home: BlobHome;
}

/** Kept for each slot that wants repair. */
export interface RepairEntry {
  readonly home: BlobHome;
  /** When the slot came to want repair; wall clock, for display. */
  readonly sinceMs: number;
  /** Repair leaves it alone before: a straggler may still bring the copy, or an attempt failed a moment ago. */
  readonly notBeforeMs: number;
  readonly attempts: number;
  /** Of the slot, so that a look at the entry is enough to pass it over or count it; absent from old entries. */
  readonly work?: { readonly state: SlotState; readonly domain: string };
}

export interface RepairTiming {
  readonly nowMs: number;
  /** See RepairEntry.notBeforeMs. */
  readonly notBeforeMs: number;
}

/** Enters the copies of a new blob. Its record itself is the caller's to write (inside a version, or by `setOwnBlob`). */
export function enterCopies(atomic: KvAtomic, blob: Blob, home: BlobHome, timing: RepairTiming): void {
  blob.slots.forEach((slot, number) => {
    if (slot.location !== undefined) setCopy(atomic, slot.location, { blobId: blob.blobId, slot: number, home });
    if (wantsRepair(slot)) setRepair(atomic, blob, number, { ...newRepair(timing), home });
  });
}

/** Writes the record of a blob that is not inline. */
export function setOwnBlob(atomic: KvAtomic, blob: Blob): void {
  atomic.set(blobKey(blob.blobId), encodeBlob(blob));
}

/**
 * Turns a blob into dying copies, to be deleted after the grace time. The record itself is the caller's to remove.
 * The entries of the copies stay until the copies are deleted: what a node holds is an orphan only without one.
 */
export function retireCopies(atomic: KvAtomic, blob: Blob, nowMs: number): void {
  blob.slots.forEach((slot, number) => {
    if (!wantsRepair(slot)) return;
    atomic.delete(repairKey(goodCopies(blob), blob.blobId, number));
    atomic.delete(deadLetterKey(blob.blobId, number));
  });
  const copies = blob.slots.flatMap(({ location }) => (location === undefined ? [] : [location]));
  if (copies.length > 0) {
    atomic.set(dyingKey(nowMs, blob.blobId), encodeDying({ kind: "copies", blobId: blob.blobId, copies }));
  }
}

/** Finds a blob's record, `undefined` when the blob is dead. */
export async function locateBlob(kv: Kv, blobId: Id, home: BlobHome): Promise<LocatedBlob | undefined> {
  const keys = [blobKey(blobId)];
  if (home.kind === "inline") keys.push(objectKey(home.bucketId, home.key));
  // One snapshot: between two reads the blob could move from the one place to the other.
  const [own, object] = await kv.getMany(keys);
  if (own !== undefined) return locatedOwn(own);
  if (object === undefined || home.kind !== "inline") return undefined;
  const holder = decodeVersion(object.value);
  if (holder.content.kind !== "inline" || holder.content.blob.blobId !== blobId) return undefined;
  return { blob: holder.content.blob, home, entryKey: object.key, entryVersion: object.version, holder };
}

/** A blob's own record as read. */
export function locatedOwn(entry: KvEntry): LocatedBlob {
  return { blob: decodeBlob(entry.value), home: { kind: "own" }, entryKey: entry.key, entryVersion: entry.version };
}

/** Adds the repair entries to a blob's record. They change only together with it, so one check covers both. */
export async function withRepairs(kv: Kv, located: LocatedBlob): Promise<LocatedWork> {
  const { blob } = located;
  const wanting = blob.slots.flatMap((slot, number) => (wantsRepair(slot) ? [number] : []));
  const keys = wanting.flatMap((number) => [
    repairKey(goodCopies(blob), blob.blobId, number),
    deadLetterKey(blob.blobId, number),
  ]);
  const entries = await kv.getMany(keys);
  const repairs = new Map<number, RepairEntry>();
  const deadLetters = new Map<number, DeadLetter>();
  wanting.forEach((number, at) => {
    const [repair, dead] = [entries[2 * at], entries[2 * at + 1]];
    if (repair !== undefined) repairs.set(number, decodeRepairEntry(repair.value));
    if (dead !== undefined) deadLetters.set(number, decodeDeadLetter(dead.value));
  });
  return { ...located, repairs, deadLetters };
}

/** What a change of slots is to be. */
export interface SlotChange {
  readonly slots: readonly Slot[];
  /** Repair attempts that failed, by slot number. The other slots keep what is on record of them. */
  readonly postponed?: ReadonlyMap<number, Pick<RepairEntry, "notBeforeMs" | "attempts">>;
  /** Slots whose repair is given up, by number: they become dead letters. */
  readonly givenUp?: ReadonlyMap<number, Omit<DeadLetter, "home">>;
  /** Slots whose dead letters are to be work again, as if nothing had been tried. */
  readonly revived?: ReadonlySet<number>;
  /** The node that a new copy was made on, as the topology had it when the copy was planned. */
  readonly placedOn?: { readonly nodeUuid: Id; readonly writeGeneration: number };
}

/**
 * Changes the slots of a blob: the record, provided that it is still as it was found, and all entries beside it.
 * Copies that no slot points to any more are left dying under `replacedId`, an id made for the purpose.
 */
export function changeSlots(
  atomic: KvAtomic,
  located: LocatedWork,
  change: SlotChange,
  how: { readonly nowMs: number; readonly replacedId: Id },
): void {
  const { slots } = change;
  const before = located.blob;
  const after: Blob = { ...before, slots };
  const { home } = located;
  atomic.check(located.entryKey, located.entryVersion);
  atomic.set(located.entryKey, encodeLocated(located, after));
  const { placedOn } = change;
  if (placedOn !== undefined) atomic.check(nodeKey(placedOn.nodeUuid), placedOn.writeGeneration);

  for (const number of located.repairs.keys()) atomic.delete(repairKey(goodCopies(before), before.blobId, number));
  for (const number of located.deadLetters.keys()) atomic.delete(deadLetterKey(before.blobId, number));
  slots.forEach((slot, number) => {
    if (slot.location !== undefined) setCopy(atomic, slot.location, { blobId: before.blobId, slot: number, home });
    if (wantsRepair(slot)) setWork(atomic, { located, after, number, nowMs: how.nowMs }, change);
  });

  const replaced = before.slots.flatMap(({ location }) =>
    location === undefined || slots.some((slot) => isSamePlace(slot.location, location)) ? [] : [location],
  );
  if (replaced.length > 0) {
    const dying = encodeDying({ kind: "copies", blobId: before.blobId, copies: replaced });
    atomic.set(dyingKey(how.nowMs, how.replacedId), dying);
  }
}

/** The entry of a slot that wants repair: what is on record of it stays as long as the work is the same. */
function setWork(
  atomic: KvAtomic,
  of: { readonly located: LocatedWork; readonly after: Blob; readonly number: number; readonly nowMs: number },
  { postponed, givenUp, revived }: SlotChange,
): void {
  const { located, after, number, nowMs } = of;
  const { home } = located;
  const slot = after.slots[number];
  const same = slot !== undefined && isSameWork(located.blob.slots[number], slot);
  const dead =
    givenUp?.get(number) ?? (same && revived?.has(number) !== true ? located.deadLetters.get(number) : undefined);
  if (dead !== undefined) {
    atomic.set(deadLetterKey(after.blobId, number), encodeDeadLetter({ ...dead, home }));
    return;
  }
  const asBefore = same ? located.repairs.get(number) : undefined;
  // A copy that is missing is missing since it was first, however often its repair is begun anew.
  const revivedSince = same ? located.deadLetters.get(number)?.sinceMs : undefined;
  const entry = asBefore ?? newRepair({ nowMs, notBeforeMs: nowMs });
  const sinceMs = revivedSince ?? entry.sinceMs;
  setRepair(atomic, after, number, { ...entry, sinceMs, ...postponed?.get(number), home });
}

function isSameWork(before: Slot | undefined, after: Slot): boolean {
  return (
    before?.state === after.state && before.domain === after.domain && isSamePlace(before.location, after.location)
  );
}

/** Copies that are on record as good; how urgently the others are wanted. */
export function goodCopies(blob: Blob): number {
  return blob.slots.filter((slot) => isReadable(slot) && slot.state !== "unverified").length;
}

function encodeLocated(located: LocatedBlob, blob: Blob): Buffer {
  const { holder } = located;
  if (holder === undefined) return encodeBlob(blob);
  return encodeVersion({ ...holder, content: { kind: "inline", blob } });
}

function newRepair(timing: RepairTiming): Omit<RepairEntry, "home"> {
  return { sinceMs: timing.nowMs, notBeforeMs: timing.notBeforeMs, attempts: 0 };
}

function setCopy(atomic: KvAtomic, location: Location, entry: CopyEntry): void {
  atomic.set(copyIndexKey(location.nodeUuid, location.key), encodeCopyEntry(entry));
}

function setRepair(atomic: KvAtomic, blob: Blob, number: number, entry: RepairEntry): void {
  const slot = blob.slots[number];
  const work = slot === undefined ? {} : { work: { state: slot.state, domain: slot.domain } };
  atomic.set(repairKey(goodCopies(blob), blob.blobId, number), encodeRepairEntry({ ...entry, ...work }));
}

const COPY_FORMAT = 1;
const REPAIR_FORMAT = 1;

export function encodeCopyEntry(entry: CopyEntry): Buffer {
  return encodeRecord(COPY_FORMAT, [idBytes(entry.blobId), entry.slot, homeFields(entry.home)]);
}

export function decodeCopyEntry(value: Uint8Array): CopyEntry {
  const reader = decodeRecord("copy", value, COPY_FORMAT);
  return {
    blobId: reader.id(),
    slot: reader.int(),
    home: readHome(reader),
  };
}

export function encodeRepairEntry({ home, sinceMs, notBeforeMs, attempts, work }: RepairEntry): Buffer {
  return encodeRecord(REPAIR_FORMAT, [
    homeFields(home),
    sinceMs,
    notBeforeMs,
    attempts,
    ...(work === undefined ? [] : [SLOT_STATES.indexOf(work.state), work.domain]),
  ]);
}

export function decodeRepairEntry(value: Uint8Array): RepairEntry {
  const reader = decodeRecord("repair", value, REPAIR_FORMAT);
  const entry = {
    home: readHome(reader),
    sinceMs: reader.int(),
    notBeforeMs: reader.int(),
    attempts: reader.int(),
  };
  const code = reader.optionalInt();
  const state = code === undefined ? undefined : SLOT_STATES[code];
  const domain = reader.optionalString();
  return state === undefined || domain === undefined ? entry : { ...entry, work: { state, domain } };
}
