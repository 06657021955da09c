import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3ServiceException } from "@aws-sdk/client-s3";
import { temporaryFolder } from "../support/files.ts";
import { startGateway } from "../support/gateway.ts";
import { bytesOf, Ledger } from "../support/ledger.ts";
import { verifyAll } from "../support/load.ts";
import { strictClientOf } from "../support/s3-client.ts";
import { MIB } from "../support/sizes.ts";
import { smallDisk } from "../support/small-disk.ts";

const DISK_MIB = 96;
const OBJECT_BYTES = 2 * MIB + 5;
/** More than the disks hold. */
const OBJECTS = 60;

function volumes(paths: readonly string[]): object {
  return {
    delete: { grace: "1s" },
    health: { "interval-seconds": 1, decommission: false },
    "active-domains": ["a", "b"],
    nodes: paths.map((path, index) => ({
      name: `v${index}`,
      endpoint: `volume:${path}`,
      faultDomain: index === 0 ? "a" : "b",
    })),
  };
}

describe("a full disk under a volume node", () => {
  test("with room in the other domain: every write goes on and nothing is lost", async (t) => {
    await using folder = await temporaryFolder();
    const paths = [join(folder.path, "small"), join(folder.path, "roomy")];
    await using disk = await smallDisk(join(folder.path, "small"), { mebibytes: DISK_MIB }, t);
    if (disk === undefined) return;
    await using gateway = await startGateway({ config: { storage: volumes(paths) } });
    using client = strictClientOf(gateway);
    const target = { client, bucket: "full", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    for (let index = 0; index < OBJECTS; index++) {
      const content = { seed: index, length: OBJECT_BYTES };
      await client.send(new PutObjectCommand({ Bucket: "full", Key: `k${index}`, Body: bytesOf(content) }));
      target.ledger.acknowledged(`k${index}`, content);
    }
    assert.equal(await verifyAll(target), OBJECTS);
    await gateway.restart();
    assert.equal(await verifyAll(target), OBJECTS);
  });

  test("with no room anywhere: writes are refused by name, what is there stays, reads and deletes go on", async (t) => {
    await using folder = await temporaryFolder();
    const paths = [join(folder.path, "first"), join(folder.path, "second")];
    await using first = await smallDisk(join(folder.path, "first"), { mebibytes: DISK_MIB }, t);
    if (first === undefined) return;
    await using second = await smallDisk(join(folder.path, "second"), { mebibytes: DISK_MIB }, t);
    if (second === undefined) return;
    await using gateway = await startGateway({ config: { storage: volumes(paths) } });
    using client = strictClientOf(gateway);
    const target = { client, bucket: "full", ledger: new Ledger() };
    await client.send(new CreateBucketCommand({ Bucket: target.bucket }));
    const refusals: unknown[] = [];
    for (let index = 0; index < OBJECTS; index++) {
      const content = { seed: index, length: OBJECT_BYTES };
      const key = `k${index}`;
      target.ledger.attempted(key, "absent");
      try {
        await client.send(new PutObjectCommand({ Bucket: "full", Key: key, Body: bytesOf(content) }));
        target.ledger.acknowledged(key, content);
      } catch (error) {
        refusals.push(error);
      }
    }
    assert.ok(refusals.length > 0, "the disks were too small for all");
    for (const error of refusals) {
      assert.ok(error instanceof S3ServiceException, String(error));
      // Refused for now, as S3 says it: a client may try again when there is room.
      assert.deepEqual([error.name, error.$metadata.httpStatusCode], ["ServiceUnavailable", 503]);
    }
    const kept = await verifyAll(target);
    assert.ok(kept > 0 && kept + refusals.length === OBJECTS);
    await client.send(new DeleteObjectCommand({ Bucket: "full", Key: "k0" }));
    target.ledger.acknowledged("k0", "absent");
    await gateway.restart();
    assert.equal(await verifyAll(target), kept - 1);
  });
});
