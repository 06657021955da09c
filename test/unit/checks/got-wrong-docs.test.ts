/** docs/testing.md names, for each thing that earlier systems got wrong, tests of that number that are there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../../..");
const NAMES = Array.from({ length: 18 }, (_, at) => `G${at + 1}`);

/** The cells of tests in each row: over memory, and on MinIO. */
const rows = new Map(
  [...readFileSync(resolve(ROOT, "docs/testing.md"), "utf8").matchAll(/^\| (G\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$/gm)].map(
    ([, name = "", memory = "", minio = ""]) => [name, { memory, minio }],
  ),
);

function filesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, path = ""]) => resolve(ROOT, "test", `${path}.test.ts`));
}

function hasTestOf(name: string, file: string): boolean {
  return new RegExp(`["\`]${name}: `).test(readFileSync(file, "utf8"));
}

test("each of G1 to G18 has a row", () => {
  assert.deepEqual([...rows.keys()], NAMES);
});

for (const [name, { memory, minio }] of rows) {
  test(`the tests of ${name} are there, and one on MinIO at least has its name`, () => {
    const [quick, real] = [filesIn(memory), filesIn(minio)];
    assert.deepEqual(
      [...quick, ...real].filter((file) => !existsSync(file)),
      [],
    );
    assert.notDeepEqual(quick, []);
    assert.ok(
      real.some((file) => hasTestOf(name, file)),
      `no test of ${name} on MinIO`,
    );
    const unit = quick.filter((file) => file.includes("/got-wrong/"));
    for (const file of unit) assert.ok(hasTestOf(name, file), `${file} has no test of ${name}`);
  });
}
