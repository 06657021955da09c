import assert from "node:assert/strict";
import { test } from "node:test";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from "../../../src/catalog/records/version.ts";
import { HASHES } from "../../../src/objects/body-digests.ts";
import { PART_BYTES_MIN } from "../../../src/objects/multipart/complete-upload.ts";
import { type Checksums, loadChecksums } from "../../../src/shared/checksums.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertCode, bodyOf, type ObjectClient, type UploadAddress } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";

const PIECES = [patternBytes(PART_BYTES_MIN, 1), patternBytes(PART_BYTES_MIN + 3, 2), patternBytes(1_001, 3)];

function digest(checksums: Checksums, algorithm: ChecksumAlgorithm, pieces: readonly Uint8Array[]): Buffer {
  const hasher = checksums.start(HASHES[algorithm]);
  for (const piece of pieces) hasher.update(piece);
  return Buffer.from(hasher.digest());
}

async function uploadPieces(
  client: ObjectClient,
  upload: UploadAddress,
): Promise<{ partNumber: number; etag: string }[]> {
  const parts = [];
  for (const [index, piece] of PIECES.entries()) parts.push(await client.part(upload, index + 1, piece));
  return parts;
}

test("a CRC of the whole object comes from those of its parts", async () => {
  const checksums = await loadChecksums();
  for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME"] as const) {
    const { client } = await openBox();
    const upload = await client.createUpload("box/a", { algorithm, type: "FULL_OBJECT" });
    const { checksum } = await client.complete(upload, await uploadPieces(client, upload));
    const value = digest(checksums, algorithm, PIECES).toString("base64");
    assert.deepEqual(checksum, { algorithm, type: "FULL_OBJECT", value });
    assert.deepEqual((await client.head("box/a")).object.checksum, checksum);
  }
});

test("a composite checksum is that of the parts' checksums", async () => {
  const checksums = await loadChecksums();
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const { client } = await openBox();
    const upload = await client.createUpload("box/a", { algorithm, type: "COMPOSITE" });
    const { checksum } = await client.complete(upload, await uploadPieces(client, upload));
    const ofParts = PIECES.map((piece) => digest(checksums, algorithm, [piece]));
    const value = digest(checksums, algorithm, ofParts).toString("base64");
    assert.deepEqual(checksum, { algorithm, type: "COMPOSITE", value });
  }
});

test("a checksum of a whole object that cannot be had from its parts is refused", async () => {
  const { client } = await openBox();
  for (const algorithm of ["SHA1", "SHA256"] as const) {
    const upload = await client.createUpload("box/a", { algorithm, type: "FULL_OBJECT" });
    const part = await client.part(upload, 1, Buffer.from("x"));
    await assertCode(client.complete(upload, [part]), "invalid-request");
  }
});

test("the checksum that a completion states must be the object's", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "CRC32", type: "COMPOSITE" });
  const part = await client.part(upload, 1, Buffer.from("x"));
  const right = digest(await loadChecksums(), "CRC32", [digest(await loadChecksums(), "CRC32", [Buffer.from("x")])]);
  const value = right.toString("base64");
  const complete = (
    expectedChecksum: Parameters<typeof client.service.completeUpload>[0]["expectedChecksum"],
  ): Promise<unknown> => client.complete(upload, [part], expectedChecksum && { expectedChecksum });
  await assertCode(complete({ algorithm: "CRC32", value: "AAAAAA==" }), "bad-checksum");
  await assertCode(complete({ algorithm: "CRC32", type: "FULL_OBJECT" }), "bad-checksum");
  await assertCode(complete({ algorithm: "CRC32C" }), "bad-checksum");
  // S3 shows a composite checksum with the number of its parts, and takes it so.
  await complete({ algorithm: "CRC32", type: "COMPOSITE", value: `${value}-1` });
  assert.equal((await client.head("box/a")).object.checksum?.value, value);
  const plain = await client.createUpload("box/b");
  const only = await client.part(plain, 1, Buffer.from("x"));
  const expectedChecksum = { algorithm: "CRC32", value } as const;
  await assertCode(client.complete(plain, [only], { expectedChecksum }), "bad-checksum");
});

test("a part's checksum that a completion states must be the part's", async () => {
  const { client } = await openBox();
  const upload = await client.createUpload("box/a", { algorithm: "CRC32", type: "FULL_OBJECT" });
  const part = await client.part(upload, 1, Buffer.from("x"));
  const value = digest(await loadChecksums(), "CRC32", [Buffer.from("x")]).toString("base64");
  const stating = (stated: string): Promise<unknown> =>
    client.complete(upload, [{ ...part, checksum: { algorithm: "CRC32", value: stated } }]);
  await assertCode(stating("AAAAAA=="), "invalid-part");
  await stating(value);
});

test("a part that was copied has the checksum of the upload's algorithm", async () => {
  const { client } = await openBox();
  const checksums = await loadChecksums();
  const [source = Buffer.alloc(0)] = PIECES;
  await client.put("box/source", bodyOf(source));
  const upload = await client.createUpload("box/a", { algorithm: "CRC32C", type: "FULL_OBJECT" });
  const parts = [
    await client.partCopy(upload, 1, "box/source"),
    await client.partCopy(upload, 2, "box/source", { start: 7, end: 4_000 }),
  ];
  const { checksum } = await client.complete(upload, parts);
  const value = digest(checksums, "CRC32C", [source, source.subarray(7, 4_000)]).toString("base64");
  assert.deepEqual(checksum, { algorithm: "CRC32C", type: "FULL_OBJECT", value });
});
