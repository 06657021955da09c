/**
 * Pins: while a blob has one, none of its copies is deleted, neither when it dies nor when a copy is replaced. A pin is
 * committed only while its blob is alive, and so before anything that kills the blob: whoever sees the blob dying sees
 * the pin as well.
 */
import { type Catalog, walk } from "../../catalog/catalog.ts";
import { partsOfPinKey, pinKey, pinsOfBlob, pinsRange } from "../../catalog/keys.ts";
import type { Kv, KvAtomic } from "../../catalog/kv.ts";
import { decodePin, encodePin, type Pin } from "../../catalog/records/pin.ts";
import type { Id } from "../../shared/ids.ts";

/** Pins that there may be at a time: all of them are looked at again and again. */
export const PINS_MAX = 10_000;
/** Nodes judge a URL's age by their own clocks, and S3 takes ones that are off by so much. */
export const PIN_MARGIN_MS = 15 * 60 * 1000;

export interface PinInfo extends Pin {
  /** 32 hexadecimal digits of the blob, a hyphen, and the end in milliseconds since 1970. */
  readonly pinId: string;
  readonly blobId: Id;
  readonly untilMs: number;
}

export class TooManyPinsError extends Error {
  constructor() {
    super(`there are ${PINS_MAX} pins already: remove some, or let them end`);
    this.name = "TooManyPinsError";
  }
}

/**
 * Adds a pin to a commit that must check that the blob is alive. Where the blob has one with this very end, the new one
 * ends later. @returns its id
 * @throws TooManyPinsError; CatalogError
 */
export async function enterPin(
  kv: Kv,
  atomic: KvAtomic,
  pinned: { readonly blobId: Id; readonly untilMs: number; readonly pin: Pin },
): Promise<string> {
  const all = await kv.list(pinsRange(), { limit: PINS_MAX });
  if (all.length === PINS_MAX) throw new TooManyPinsError();
  const { blobId, pin } = pinned;
  let { untilMs } = pinned;
  while (all.some(({ key }) => key.equals(pinKey(blobId, untilMs)))) untilMs += 1;
  atomic.check(pinKey(blobId, untilMs), null).set(pinKey(blobId, untilMs), encodePin(pin));
  return pinIdOf(blobId, untilMs);
}

/** In no order that means anything. */
export async function listPins(kv: Kv): Promise<PinInfo[]> {
  const pins: PinInfo[] = [];
  for await (const { key, value } of walk(kv, pinsRange())) {
    const { blobId, untilMs } = partsOfPinKey(key);
    pins.push({ pinId: pinIdOf(blobId, untilMs), blobId, untilMs, ...decodePin(value) });
  }
  return pins;
}

/** Takes a pin away at once: its URL may be refused from now on. @returns false where there is no such pin */
export async function removePin(catalog: Catalog, pinId: string): Promise<boolean> {
  const [, blobId, until] = /^([0-9a-f]{32})-(\d{1,15})$/.exec(pinId) ?? [];
  if (blobId === undefined) return false;
  const entry = await catalog.kv.get(pinKey(blobId, Number(until)));
  if (entry === undefined) return false;
  await catalog.commit(catalog.begin().delete(entry.key));
  return true;
}

export async function isPinned(kv: Kv, blobId: Id): Promise<boolean> {
  return (await kv.list(pinsOfBlob(blobId), { limit: 1 })).length > 0;
}

/**
 * Ends the pins whose time is over, and removes those that ended long enough ago: the clock says when a pin ends, and
 * the grace time after it goes by the order of commits, as with everything else that is deleted.
 * @param ripeVersion what was committed up to this version is older than the grace time; undefined: nothing is known to be
 */
export async function endPins(catalog: Catalog, nowMs: number, ripeVersion: number | undefined): Promise<void> {
  for await (const entry of walk(catalog.kv, pinsRange())) {
    const pin = decodePin(entry.value);
    const atomic = catalog.begin().check(entry.key, entry.version);
    if (!pin.ended) {
      if (partsOfPinKey(entry.key).untilMs > nowMs) continue;
      await catalog.commit(atomic.set(entry.key, encodePin({ ...pin, ended: true })));
    } else if (ripeVersion !== undefined && entry.version <= ripeVersion) {
      await catalog.commit(atomic.delete(entry.key));
    }
  }
}

function pinIdOf(blobId: Id, untilMs: number): string {
  return `${blobId}-${untilMs}`;
}
