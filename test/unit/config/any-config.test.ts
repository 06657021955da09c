import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadConfig } from "../../../src/config/load-config.ts";
import { ANY_INDEX, listProperties } from "../../../src/config/properties.ts";

const SECRET = "hush-hush-hush";

/** Values that settings might be given: right ones, near misses, and what belongs elsewhere. */
const value = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "volume:/x",
    "http://h:1",
    SECRET,
    "10s",
    "64MiB",
    "auto",
    "true",
    "${UNSET}",
    "$${A}",
    "",
    "1",
  ),
  fc.constantFrom<unknown>(0, 1, 2, -1, 1.5, true, null, [], {}, ["a"], ["a", "b"], [{}], [null], [["a"]]),
  fc.string(),
);

const keys = [...new Set(listProperties().flatMap(({ path }) => path))].filter((key) => key !== ANY_INDEX);
const { tree } = fc.letrec((tie) => ({
  tree: fc.dictionary(
    fc.oneof(fc.constantFrom(...keys), fc.constantFrom("bogus", "__proto__", "min-nodes")),
    fc.oneof({ depthSize: "small" }, value, tie("tree"), fc.array(tie("tree"), { maxLength: 3 })),
    { maxKeys: 5 },
  ),
}));

/** One of the settings, given some value: deeper than a random tree gets. */
const setting = fc
  .tuple(fc.constantFrom(...listProperties()), value)
  .map(([{ path }, given]) =>
    path.reduceRight<unknown>((inner, key) => (key === ANY_INDEX ? [inner] : { [key]: inner }), given),
  );

test("whatever is written is accepted, or refused with reasons that show no secret", () => {
  fc.assert(
    fc.property(fc.oneof(tree, setting), (written) => {
      const yamlText = stringify(written);
      const readSecretFile = (): string => assert.fail("no secret file was named");
      const result = loadConfig({ yamlText, fileName: "f.yaml", env: {}, readSecretFile });
      if ("config" in result) return;
      assert.ok(result.problems.length > 0);
      for (const { property, value: shown, reason } of result.problems) {
        assert.notEqual(reason, "");
        if (/secretKey|accessKey|apiKey|Token|\.url$/.test(property ?? ""))
          assert.equal(shown, undefined, property ?? "");
      }
    }),
    { numRuns: 1000 },
  );
});
