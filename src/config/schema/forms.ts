/** The forms of values that several settings share. */
import { type Leaf, text } from "./leaves.ts";

export const NODES_MAX = 1000;
export const DOMAINS_MAX = 100;

export const label = (): Leaf<string> =>
  text("a name of 1 to 63 letters, digits, dots, hyphens and underscores", /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
export const bucketName = (): Leaf<string> =>
  text("a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens", /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/);
export const regionName = (): Leaf<string> => text("a region such as us-east-1", /^[A-Za-z0-9-]{1,64}$/);
export const path = (): Leaf<string> => text("a path", /^[^\0]{1,4096}$/);
export const storageId = (): Leaf<string> => text("a text of 1 to 255 characters", /^[^\p{Cc}]{1,255}$/u);
export const accessKey = (): Leaf<string> =>
  text("an access key: 1 to 128 characters, no spaces, commas, slashes or equals signs", /^[!-+\-.0-<>-~]{1,128}$/);
export const secretKey = (): Leaf<string> => text("1 to 256 printable ASCII characters, no spaces", /^[!-~]{1,256}$/);
/** Signed tokens grow with the names that are in them, and some carry certificates. */
export const metricsToken = (): Leaf<string> =>
  text("1 to 4096 printable ASCII characters, no spaces", /^[!-~]{1,4096}$/);
