/** Durations and sizes as people write them. */

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Milliseconds of `10s`, `1.5 min`, `250ms`; `undefined` for anything else, a number without a unit included. */
export function parseDurationMs(text: string): number | undefined {
  return parseQuantity(text, DURATION_MS);
}

/** Bytes of `64MiB`, `1 GB`, `512B`; `undefined` for anything else, a number without a unit included. */
export function parseSizeBytes(text: string): number | undefined {
  return parseQuantity(text, SIZE_BYTES);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/.exec(text);
  const factor = match?.[2] !== undefined && Object.hasOwn(units, match[2]) ? units[match[2]] : undefined;
  if (factor === undefined) return undefined;
  const quantity = Math.round(Number(match?.[1]) * factor);
  return Number.isSafeInteger(quantity) ? quantity : undefined;
}
