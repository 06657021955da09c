/** `storage.durability` */
import * as z from "zod";
import { type Leaf, leaf } from "./leaves.ts";
import { settingNotes } from "./setting-notes.ts";

const PERCENT_MIN = 0.001;
const PERCENT_MAX = 99;

/** `2%`, `0.5 %`: read as a share of one. */
const percentage = (): Leaf<number> =>
  leaf(`a percentage such as 2% or 0.5%, from ${PERCENT_MIN}% to ${PERCENT_MAX}%`, (written) => {
    const text = typeof written === "string" ? /^(\d{1,2}(?:\.\d{1,6})?) ?%$/.exec(written)?.[1] : undefined;
    const percent = Number(text);
    return percent >= PERCENT_MIN && percent <= PERCENT_MAX ? { value: percent / 100 } : { refused: true };
  });

export const durabilitySettings = z.strictObject({
  annualFailureRate: percentage().prefault("2%").register(settingNotes, {
    meaning: "share of nodes that are lost for good within a year, for the estimate of `bulkhead prove`",
  }),
});
