/**
 * How much the black-box suites move. With BULKHEAD_TEST_LARGE=1, as in CI, what the project promises; without it, what
 * a developer waits for.
 */
const LARGE = process.env["BULKHEAD_TEST_LARGE"] === "1";

export const MIB = 2 ** 20;

export const LARGE_OBJECT_BYTES = (LARGE ? 2048 : 200) * MIB;
export const SYNC_FILES = LARGE ? 5000 : 250;
/** More than a listing's page of 1,000 in either case. */
export const LISTED_KEYS = LARGE ? 12_000 : 1200;
