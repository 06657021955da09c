import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePayloadMode } from "../../../../src/s3/sigv4/payload-mode.ts";
import { deriveSigningKey, SigningKeys } from "../../../../src/s3/sigv4/signing-key.ts";
import { EMPTY_SHA256, EXAMPLE } from "./requests.ts";

describe("signing keys", () => {
  test("are derived as in AWS's example", () => {
    const key = deriveSigningKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", { date: "20120215", region: "us-east-1" });
    assert.equal(key.length, 32);
    const published = deriveSigningKey(EXAMPLE.secretAccessKey, { date: "20130524", region: "us-east-1" });
    assert.equal(published.toString("hex"), "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378");
  });

  test("are remembered up to a limit, those used last, and never for another secret", () => {
    const keys = new SigningKeys(2);
    const credential = (name: string, secret = "s") => ({ accessKeyId: name, secretAccessKey: secret });
    const scope = { date: "20130524", region: "us-east-1" };
    const a = keys.get(credential("a"), scope);
    const b = keys.get(credential("b"), scope);
    assert.equal(keys.get(credential("a"), scope), a);
    keys.get(credential("c"), scope);
    assert.equal(keys.size, 2);
    assert.equal(keys.get(credential("a"), scope), a);
    assert.notEqual(keys.get(credential("b"), scope), b);
    assert.notDeepEqual(keys.get(credential("a", "changed"), scope), a);
    assert.notDeepEqual(keys.get(credential("a"), { ...scope, region: "x" }), a);
  });
});

test("a payload's digest is taken in either case", () => {
  assert.deepEqual(parsePayloadMode(EMPTY_SHA256.toUpperCase()), { kind: "sha256", sha256: EMPTY_SHA256 });
});
