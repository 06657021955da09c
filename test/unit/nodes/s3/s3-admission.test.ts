/** What admission finds where a bucket or an engine is not as Bulkhead needs it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../../../src/shared/clock.ts";
import { type FakeS3 } from "../../../support/fake-s3.ts";
import { startFakeNode } from "../../../support/s3-nodes.ts";

describe("admission of an S3 node", () => {
  const refusals: readonly [check: string, query: string, body: string][] = [
    ["versioning-off", "versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"],
    [
      "no-lifecycle",
      "lifecycle",
      "<LifecycleConfiguration><Rule><ID>a</ID><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    ],
    [
      "no-lock",
      "object-lock",
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
    ],
  ];
  for (const [check, query, body] of refusals) {
    test(`fails at ${check} alone where the bucket is configured so`, async (t) => {
      const { fake, node } = await startFakeNode(t);
      fake.intercept = (call, response) => {
        if (!call.query.has(query)) return false;
        response.end(body);
        return true;
      };
      const failed = (await node.probe("admission")).filter(({ passed }) => !passed);
      assert.deepEqual(
        failed.map((finding) => finding.check),
        [check],
      );
    });
  }

  test("lets a rule pass that only ends stale uploads", async (t) => {
    const { fake, node } = await startFakeNode(t);
    fake.intercept = (call, response) => {
      if (!call.query.has("lifecycle")) return false;
      response.end(
        "<LifecycleConfiguration><Rule><ID>a</ID><Prefix/><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
      );
      return true;
    };
    assert.deepEqual(
      (await node.probe("admission")).filter(({ passed }) => !passed),
      [],
    );
  });

  test("fails at each thing that the engine does wrong", async (t) => {
    const wrongs: readonly [check: string, wrong: NonNullable<FakeS3["intercept"]>][] = [
      ["read-after-write", (call, response) => call.method === "DELETE" && !!response.writeHead(204).end()],
      ["ranges", (call, response) => call.headers.range !== undefined && !!response.end("whole")],
      ["multipart", (call, response) => call.query.has("uploads") && !!response.writeHead(501).end()],
      ["metadata", (call, response) => call.method === "HEAD" && !!response.writeHead(200).end()],
    ];
    for (const [check, wrong] of wrongs) {
      const { fake, node } = await startFakeNode(t);
      fake.intercept = wrong;
      const failed = (await node.probe("admission")).filter(({ passed }) => !passed);
      assert.deepEqual(
        failed.map((finding) => finding.check),
        [check],
      );
    }
  });

  test("makes a bucket that is missing, which a lesser probe does not", async (t) => {
    const { fake, node } = await startFakeNode(t);
    fake.buckets.clear();
    for (const depth of ["reach", "canary"] as const) {
      const findings = await node.probe(depth);
      assert.deepEqual(
        findings.map(({ check, passed }) => [check, passed]),
        [
          ["reach", true],
          ["access", true],
          ["bucket-exists", false],
        ],
      );
    }
    const findings = await node.probe("admission");
    assert.ok(findings.every(({ passed }) => passed));
    assert.match(findings.find(({ check }) => check === "bucket-exists")?.reason ?? "", /made/);
  });

  test("tells how far off the node's clock is", async (t) => {
    for (const [offsetMs, passed] of [
      [4 * 60_000, true],
      [6 * 60_000, false],
      [-6 * 60_000, false],
    ] as const) {
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + offsetMs };
      const { node } = await startFakeNode(t, {}, { clock });
      const finding = (await node.probe("reach")).find(({ check }) => check === "clock-skew");
      assert.equal(finding?.passed, passed);
    }
  });
});
