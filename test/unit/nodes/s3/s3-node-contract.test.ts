/** The contract over S3 engines that prove writes and tell of missing objects in other ways than MinIO does. */
import { openS3Node } from "../../../../src/nodes/s3/s3-node.ts";
import type { S3NodeOptions } from "../../../../src/nodes/s3/s3-options.ts";
import { CONTRACT_CLUSTER_ID, storageNodeContract } from "../../../contract/storage-node-contract.ts";
import { type FakeS3Traits, startFakeS3 } from "../../../support/fake-s3.ts";
import { fakeOptions } from "../../../support/s3-nodes.ts";

const MIB = 1_048_576;

function contractOver(
  name: string,
  traits: Partial<FakeS3Traits>,
  limits: NonNullable<S3NodeOptions["limits"]> = {},
): void {
  storageNodeContract(`s3 over ${name}`, async () => {
    const fake = await startFakeS3(traits);
    fake.buckets.set("bucket", new Map());
    const options = fakeOptions(fake.endpoint, { region: "eu-north-1", limits });
    return {
      node: openS3Node(options),
      reopen: async () => openS3Node(options),
      dispose: async () => fake[Symbol.asyncDispose](),
      async corrupt(key, offset) {
        const [session, random] = key.split("/");
        const object = fake.buckets
          .get("bucket")
          ?.get(`.bulkhead/${CONTRACT_CLUSTER_ID}/blobs/${session}/${random?.slice(0, 2)}/${random}`);
        if (object === undefined) throw new Error("no such object");
        object.bytes = Buffer.from(object.bytes);
        object.bytes[offset] = (object.bytes[offset] ?? 0) ^ 1;
      },
      async addForeign(name) {
        fake.buckets.get("bucket")?.set(name, { bytes: Buffer.from("somebody else's"), headers: {}, etag: '"e"' });
      },
    };
  });
}

contractOver("an engine with every checksum", {});
contractOver("an engine with every checksum, in parts", {}, { multipartThresholdBytes: MIB, partBytes: MIB });
contractOver("an engine with checksums in headers only", { checksums: "header" });
contractOver("an engine without checksums whose ETag is the MD5", { checksums: "none", headErrorCode: false });
contractOver("an engine that proves nothing and stores frames", {
  checksums: "none",
  framesUnderstood: false,
  etag: "random",
  headErrorCode: false,
  deleteTellsMissing: true,
});
contractOver(
  "an engine that proves nothing, in parts",
  { checksums: "none", etag: "random" },
  { multipartThresholdBytes: MIB, partBytes: MIB },
);
