import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { DEPTH_MAX, LAYERS } from "../../../scripts/checks/import-directions.ts";

const ROOT = resolve(import.meta.dirname, "../../..");

/** The linter's answer, as far as it is read here. */
interface LintReport {
  readonly diagnostics: readonly { readonly code: string; readonly filename: string }[];
}

/** A project of nothing but this one's lint rules. */
function emptyProject(): string {
  const project = mkdtempSync(join(tmpdir(), "bulkhead-lint-"));
  for (const file of ["oxlint.config.ts", "package.json", "tsconfig.json", "scripts/checks/import-directions.ts"]) {
    cpSync(join(ROOT, file), join(project, file));
  }
  symlinkSync(join(ROOT, "node_modules"), join(project, "node_modules"));
  return project;
}

function addFile(project: string, path: string, text: string): void {
  const file = join(project, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The files that break a rule of imports. */
async function filesRefused(project: string): Promise<Set<string>> {
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
  const report = await new Promise<string>((done) => {
    execFile(process.execPath, [oxlint, "--format", "json", "src"], { cwd: project }, (_error, stdout) => done(stdout));
  });
  const { diagnostics } = JSON.parse(report) as LintReport;
  return new Set(diagnostics.filter((one) => /no-restricted-imports/.test(one.code)).map((one) => one.filename));
}

describe("import directions of src/", () => {
  let project = "";
  before(() => {
    project = emptyProject();
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  test("an import of a folder above is refused at every depth, one of a folder below or of its own is not", async () => {
    const upward: string[] = [];
    for (const [from, layer] of LAYERS.entries()) {
      for (const [to, target] of LAYERS.entries()) {
        for (let depth = 1; depth <= DEPTH_MAX; depth++) {
          const path = `src/${layer}/${"inner/".repeat(depth - 1)}imports-${target}.ts`;
          const specifier = `${from === to && depth === 1 ? "./" : `${"../".repeat(depth)}${target}/`}target.ts`;
          addFile(project, path, `import type { Target } from "${specifier}";\nexport type Mine = Target;\n`);
          if (to < from) upward.push(path);
        }
      }
      addFile(project, `src/${layer}/target.ts`, "export type Target = string;\n");
    }
    assert.deepEqual([...(await filesRefused(project))].sort(), upward.sort());
  });

  test("values, re-exports and dynamic imports are refused like types, and so is the entry point", async () => {
    addFile(project, "src/nodes/value.ts", 'import { x } from "../s3/x.ts";\nexport const y = x;\n');
    addFile(project, "src/nodes/again.ts", 'export { x } from "../s3/x.ts";\n');
    addFile(project, "src/nodes/dynamic.ts", 'export const load = () => import("../s3/x.ts");\n');
    addFile(project, "src/compose/entry.ts", 'export { start } from "../main.ts";\n');
    addFile(project, "src/nodes/inner/its-own-s3.ts", 'export { x } from "../s3/x.ts";\n');
    addFile(project, "src/nodes/development.ts", 'export * from "fast-check";\n');
    const refused = await filesRefused(project);
    for (const name of ["nodes/value", "nodes/again", "nodes/dynamic", "nodes/development", "compose/entry"]) {
      assert.ok(refused.has(`src/${name}.ts`), `src/${name}.ts should be refused`);
    }
    assert.ok(!refused.has("src/nodes/inner/its-own-s3.ts"), "src/nodes/s3 is not src/s3");
  });

  test("every folder of src/ has its place in the order, and none is deeper than the rules reach", async () => {
    const entries = await readdir(join(ROOT, "src"), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    assert.deepEqual(
      folders.filter((folder) => !(LAYERS as readonly string[]).includes(folder)),
      [],
    );
    const tooDeep = globSync(`src/*/${"*/".repeat(DEPTH_MAX)}**/*.ts`, { cwd: ROOT });
    assert.deepEqual(tooDeep, []);
  });
});
