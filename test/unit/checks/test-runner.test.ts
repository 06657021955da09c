import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../../..");
const IMPORT = 'import { describe, test } from "node:test";\n';

interface Run {
  readonly code: number;
  readonly output: string;
  readonly lastLine: string;
}

/** Runs this project's test runner over a project of the given files under test/. */
async function runner(files: Readonly<Record<string, string>>, ...args: string[]): Promise<Run> {
  const project = mkdtempSync(join(tmpdir(), "bulkhead-runner-"));
  try {
    cpSync(join(ROOT, "scripts/test.ts"), join(project, "scripts/test.ts"));
    cpSync(join(ROOT, "scripts/test"), join(project, "scripts/test"), { recursive: true });
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    for (const [name, text] of Object.entries(files)) {
      const file = join(project, "test", name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, IMPORT + text);
    }
    // This test's own runner leaves a mark by which an inner one would take itself for a child of it.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    return await new Promise((done) => {
      const script = join(project, "scripts/test.ts");
      execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        done({ code, output: stdout + stderr, lastLine: stdout.trimEnd().split("\n").at(-1) ?? "" });
      });
    });
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

const GOOD = 'test("good", () => {});\n';

test("passes, failures and skips are counted, and a failure is shown in full", async () => {
  const bad = `${GOOD}describe("inner", () => { test("bad", () => { throw new Error("broken here"); }); });\n`;
  const run = await runner({ "unit/good.test.ts": GOOD, "unit/bad.test.ts": bad }, "--suite", "unit");
  assert.deepEqual([run.code, run.lastLine], [1, "2 passed, 1 failed, 0 skipped"]);
  assert.match(run.output, /bad \(test\/unit\/bad\.test\.ts:\d+\)\n\s+Error: broken here/);
});

test("a skip is told with its sentence, and is a failure only with --no-skips", async () => {
  const files = { "unit/a.test.ts": `${GOOD}test("needs it", { skip: "no such server" }, () => {});\n` };
  const lenient = await runner(files, "--suite", "unit");
  assert.deepEqual([lenient.code, lenient.lastLine], [0, "1 passed, 0 failed, 1 skipped"]);
  assert.match(lenient.output, /skipped, no such server\n\s+needs it/);
  assert.equal((await runner(files, "--suite", "unit", "--no-skips")).code, 1);
});

for (const [what, text, problem] of [
  ["has no test", "", "ran no test"],
  ["cannot be loaded", 'import "./absent.ts";\n', "ran no test"],
  ["ends its process before its tests are done", `${GOOD}test("x", () => process.exit(0));\n`, "ran no test"],
] as const) {
  test(`a file that ${what} has failed, whatever its exit code`, async () => {
    const run = await runner({ "unit/odd.test.ts": text }, "--suite", "unit");
    assert.deepEqual([run.code, run.lastLine], [1, "0 passed, 1 failed, 0 skipped"]);
    assert.match(run.output, new RegExp(problem));
  });
}

test("a suite or a pattern without a file is an error", async () => {
  const files = { "unit/a.test.ts": GOOD };
  assert.match((await runner(files, "--suite", "faults")).output, /Suite faults has no file/);
  assert.match((await runner(files, "--suite", "unit", "nothing")).output, /No test file's path contains nothing/);
  assert.match((await runner(files, "--suite", "others")).output, /There is no suite others/);
});

test("a process that stays alive after its tests is ended and has failed", async () => {
  const text = 'test("open", () => { setInterval(() => {}, 1000); });\n';
  const run = await runner({ "unit/a.test.ts": text }, "--suite", "unit");
  assert.deepEqual([run.code, run.lastLine], [1, "1 passed, 1 failed, 0 skipped"]);
  assert.match(run.output, /left something open/);
});

test("what a passed file notes down is shown, what it prints is not", async () => {
  const text = 'test("a", (t) => { console.log("chatter"); t.diagnostic("seed 7"); });\n';
  const run = await runner({ "unit/a.test.ts": text }, "--suite", "unit");
  assert.deepEqual([run.code, run.lastLine], [0, "1 passed, 0 failed, 0 skipped"]);
  assert.match(run.output, /^  seed 7$/m);
  assert.doesNotMatch(run.output, /chatter/);
});
