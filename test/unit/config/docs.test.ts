import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { parseEnv } from "node:util";
import { CONFIG_DOCS_FILE, renderConfigDocs } from "../../../scripts/config-docs.ts";
import { listProperties } from "../../../src/config/properties.ts";
import { loaded } from "./support.ts";

const docs = readFileSync(CONFIG_DOCS_FILE, "utf8");

test("docs/configuration.md tells the settings as the schema has them (else run scripts/config-docs.ts)", () => {
  assert.equal(docs, renderConfigDocs(docs));
});

test("the documented example is sound", () => {
  const yaml = /```yaml\n(.*?)```/s.exec(docs)?.[1] ?? assert.fail("there is no example");
  loaded({ yaml, env: { S3_ACCESS_KEY: "key", S3_SECRET_KEY: "secret" } });
});

test("what .env.example proposes is sound, and proposes nothing that is not there", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../../.env.example"), "utf8");
  const env = parseEnv(text.replaceAll(/^#(?=BULKHEAD_)/gm, "")) as Record<string, string>;
  const known = new Set([...listProperties().flatMap(({ variables }) => variables), "BULKHEAD_CONFIG"]);
  assert.ok(Object.keys(env).length > 10);
  assert.deepEqual(
    Object.keys(env).filter((name) => !known.has(name)),
    [],
  );
  loaded({ env });
});

test("every setting has a meaning, a form and a variable of its own", () => {
  const properties = listProperties();
  for (const { name, notes, form } of properties) {
    assert.match(notes.meaning, /^\S.*[^.]$/, name);
    assert.notEqual(form, "", name);
  }
  const variables = properties.flatMap((property) => property.variables);
  assert.equal(new Set(variables).size, variables.length);
});
