/** A page of docs/operations, so that a test of a failure shows that what the page says is seen is what is seen. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const FOLDER = resolve(import.meta.dirname, "../../docs/operations");

export interface OperationsPage {
  /** @returns the text; throws where the page does not have it in what it says is seen */
  says(text: string): string;
}

/** @param name of the page, without `.md` */
export function operationsPage(name: string): OperationsPage {
  const text = readFileSync(resolve(FOLDER, `${name}.md`), "utf8");
  const [, seen = ""] = text.split(/^## What you see$/m);
  const [section = ""] = seen.split(/^## /m);
  // Lines are broken anywhere between words.
  const flat = section.replaceAll(/\s+/g, " ");
  return {
    says(wanted) {
      assert.ok(flat.includes(wanted), `docs/operations/${name}.md does not say that one sees: ${wanted}`);
      return wanted;
    },
  };
}
