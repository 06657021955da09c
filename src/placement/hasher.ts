import xxhash from "xxhash-wasm";

/** 64 bits as two unsigned halves: a BigInt would cost an allocation at every comparison. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

/** Maps text to 64 evenly spread bits. Placement depends on the same text always giving the same bits. */
export type Hasher = (text: string) => Hash64;

/** XXH64 with seed 0 over the text's UTF-8 bytes. Asynchronous because its WebAssembly module is compiled first. */
export async function createHasher(): Promise<Hasher> {
  const xxh = await xxhash();
  return (text) => {
    const hash = xxh.h64(text);
    return { high: Number(hash >> 32n), low: Number(hash & 0xffff_ffffn) };
  };
}

/** The hash as a float in (0, 1), never one of the ends: its top 52 bits, and a half. */
export function unitInterval(hash: Hash64): number {
  return (hash.high * 2 ** 20 + (hash.low >>> 12) + 0.5) / 2 ** 52;
}
