import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type GatewayKeys, loadKeys } from "../../../src/compose/key-files.ts";
import type { Secrets } from "../../../src/config/config.ts";
import { seededRandom } from "../../../src/shared/random.ts";
import { Secret } from "../../../src/shared/secret.ts";

const NONE: Secrets = { coordinator: { server: {}, sentinels: {} }, nodes: new Map() };

class KeyFolder implements AsyncDisposable {
  readonly #parent: string;
  readonly path: string;
  #loads = 0;

  constructor(parent: string) {
    this.#parent = parent;
    this.path = join(parent, "data", "keys");
  }

  /** Each time with other random bytes. */
  load(secrets: Secrets = NONE): Promise<GatewayKeys> {
    return loadKeys(this.path, secrets, { random: seededRandom(++this.#loads), region: "eu-north-1" });
  }

  read(name: string): Promise<string> {
    return readFile(join(this.path, name), "utf8");
  }

  async write(name: string, text: string): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await writeFile(join(this.path, name), text);
  }

  async names(): Promise<string[]> {
    return (await readdir(this.path)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#parent, { recursive: true });
  }
}

async function openFolder(): Promise<KeyFolder> {
  return new KeyFolder(await mkdtemp(join(tmpdir(), "bulkhead-keys-")));
}

test("the first start makes every key, and every later one has the same", async () => {
  await using folder = await openFolder();
  const first = await folder.load();
  assert.match(first.rootKey.accessKey, /^BHK[A-Z2-7]{16}$/);
  assert.ok(first.rootKey.secretKey.reveal().length >= 40);
  assert.ok(first.adminApiKey.reveal().length >= 32);
  assert.equal(first.clusterKey.length, 32);
  const second = await folder.load();
  assert.equal(second.rootKey.accessKey, first.rootKey.accessKey);
  assert.equal(second.rootKey.secretKey.reveal(), first.rootKey.secretKey.reveal());
  assert.equal(second.adminApiKey.reveal(), first.adminApiKey.reveal());
  assert.deepEqual(second.clusterKey, first.clusterKey);
});

test("two gateways do not make the same keys", async () => {
  await using one = await openFolder();
  await using other = await openFolder();
  await other.load();
  await rm(other.path, { recursive: true });
  const [first, second] = [await one.load(), await other.load()];
  assert.notEqual(first.rootKey.accessKey, second.rootKey.accessKey);
  assert.notEqual(first.adminApiKey.reveal(), second.adminApiKey.reveal());
  assert.notDeepEqual(first.clusterKey, second.clusterKey);
});

test("the files are readable by their owner only, and no draft of any is left", async () => {
  await using folder = await openFolder();
  await folder.load();
  assert.deepEqual(await folder.names(), ["admin-api-key", "aws-credentials", "cluster-key", "root.json"]);
  assert.equal((await stat(folder.path)).mode & 0o777, 0o700);
  for (const name of await folder.names())
    assert.equal((await stat(join(folder.path, name))).mode & 0o777, 0o600, name);
});

test("the root key is there for AWS's tools too", async () => {
  await using folder = await openFolder();
  const { rootKey, awsCredentialsFile } = await folder.load();
  assert.equal(awsCredentialsFile, join(folder.path, "aws-credentials"));
  assert.equal(
    await folder.read("aws-credentials"),
    [
      "[default]",
      `aws_access_key_id = ${rootKey.accessKey}`,
      `aws_secret_access_key = ${rootKey.secretKey.reveal()}`,
      "region = eu-north-1",
      "",
    ].join("\n"),
  );
});

test("configured keys are used, and none is made in their place", async () => {
  await using folder = await openFolder();
  const rootKey = { accessKey: "configured", secretKey: new Secret("configured-secret") };
  const keys = await folder.load({ ...NONE, rootKey, adminApiKey: new Secret("configured-admin") });
  assert.deepEqual([keys.rootKey, keys.adminApiKey.reveal()], [rootKey, "configured-admin"]);
  assert.equal(keys.awsCredentialsFile, undefined);
  assert.deepEqual(await folder.names(), ["cluster-key"]);
});

test("a key that an operator put there is used", async () => {
  await using folder = await openFolder();
  await folder.write("root.json", `{"accessKey": "operator", "secretKey": "operators-secret"}\n`);
  await folder.write("admin-api-key", "operators-admin-key\n");
  const keys = await folder.load();
  assert.equal(keys.rootKey.accessKey, "operator");
  assert.equal(keys.adminApiKey.reveal(), "operators-admin-key");
});

test("a file that holds no key is refused by its name, and neither replaced nor quoted", async () => {
  for (const [name, text] of [
    ["root.json", ""],
    ["root.json", "hunter2hunter2"],
    ["root.json", `{"accessKey": "ab", "secretKey": "hunter2hunter2"}`],
    ["root.json", `{"accessKey": "abc", "secretKey": "short"}`],
    ["cluster-key", ""],
    ["cluster-key", "hunter2"],
    ["cluster-key", "ab".repeat(31)],
    ["admin-api-key", ""],
    ["admin-api-key", " \n"],
  ] as const) {
    await using folder = await openFolder();
    await folder.write(name, text);
    await assert.rejects(
      folder.load(),
      (error) =>
        error instanceof Error && error.message.includes(join(folder.path, name)) && !/hunter2/.test(error.message),
      `${name}: "${text}"`,
    );
    assert.equal(await folder.read(name), text);
  }
});

test("a draft that a crash left behind is overwritten", async () => {
  await using folder = await openFolder();
  await folder.write("cluster-key.new", "half a k");
  const { clusterKey } = await folder.load();
  assert.equal(clusterKey.length, 32);
  assert.ok(!(await folder.names()).includes("cluster-key.new"));
});

test("a folder that cannot be made is told by its path", async () => {
  await using folder = await openFolder();
  await writeFile(join(folder.path, "..", "..", "data"), "a file is in the way");
  await assert.rejects(folder.load(), (error) => error instanceof Error && error.message.includes("data"));
});
