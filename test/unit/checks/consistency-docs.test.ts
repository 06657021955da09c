/** docs/consistency.md names, for each invariant, tests that are there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../../..");
const INVARIANTS = Array.from({ length: 11 }, (_, at) => `I${at + 1}`);

/** The cell of tests in each invariant's row. */
const rows = new Map(
  [...readFileSync(resolve(ROOT, "docs/consistency.md"), "utf8").matchAll(/^\| (I\d+) [^|]*\|([^|]*)\|$/gm)].map(
    ([, name = "", cell = ""]) => [name, cell],
  ),
);

function pathsOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, path = ""]) => resolve(ROOT, "test", path));
}

function fileOf(path: string): string | undefined {
  return [`${path}.test.ts`, `${path}.ts`, path].find((file) => existsSync(file));
}

test("each invariant has a row", () => {
  assert.deepEqual([...rows.keys()], INVARIANTS);
});

for (const [name, cell] of rows) {
  test(`the tests of ${name} are there, and one of them at least says that it is of ${name}`, () => {
    const paths = pathsOf(cell);
    assert.deepEqual(
      paths.filter((path) => fileOf(path) === undefined),
      [],
    );
    const naming = paths.filter((path) => {
      const file = fileOf(path);
      return file?.endsWith(".test.ts") && new RegExp(`\\b${name}\\b`).test(readFileSync(file, "utf8"));
    });
    assert.notDeepEqual(naming, [], `no test in the row names ${name}`);
  });
}
