/** What the earlier system got wrong of large objects and links (G16 of the design), on real MinIO servers. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { patternBytes } from "../../support/files.ts";
import { bulkhead } from "../../support/job-client.ts";
import { watchMemory } from "../../support/memory.ts";
import { BUCKET, overSharedServers } from "../../support/minio-site.ts";
import { MIB } from "../../support/sizes.ts";

const NODES = [
  ["a", "a1"],
  ["b", "b1"],
] as const;
const onMinio = overSharedServers(NODES.length);

const PIECE = patternBytes(MIB, 16);
const PIECES = 256;

onMinio(
  "G16: an object of 256 MiB passes in both directions, and is never in memory whole",
  { nodes: NODES },
  async (site, t) => {
    const { client, gateway } = site;
    const sent = createHash("sha256");
    // Made as it is read, so that the test itself holds none of it.
    const body = Readable.from(
      (function* () {
        for (let piece = 0; piece < PIECES; piece++) {
          sent.update(PIECE);
          yield PIECE;
        }
      })(),
      { objectMode: false },
    );
    // What it holds for good is there after this.
    await site.put("small", 1_000);
    await site.readAll();
    using memory = watchMemory(gateway.pid);
    const beganWith = memory.peakBytes;
    const ContentLength = PIECES * MIB;
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: "large", Body: body, ContentLength }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: "large" }));
    const got = createHash("sha256");
    for await (const piece of Body as Readable) got.update(piece as Uint8Array);
    assert.equal(got.digest("hex"), sent.digest("hex"));
    const grownMib = Math.round((memory.peakBytes - beganWith) / MIB);
    t.diagnostic(`${grownMib} MiB more than before`);
    assert.ok(grownMib < PIECES / 2, `${grownMib} MiB more for an object of ${PIECES} MiB`);
  },
);

onMinio(
  "G16: a node's URL is signed for the endpoint that the node is known by, and lives as long as was asked for",
  { nodes: NODES, external: true },
  async (site) => {
    await site.put("k", 10_000);
    for (const { name, server } of site.nodes) {
      const given = await bulkhead(
        site.gateway,
        "presign",
        `s3://${BUCKET}/k`,
        "--direct",
        "--node",
        name,
        "--expires",
        "2m",
      );
      const { url } = given as { readonly url: string };
      assert.equal(new URL(url).searchParams.get("X-Amz-Expires"), "120");
      assert.equal(new URL(url).origin, server.endpoint.replace("127.0.0.1", "localhost"));
      const answer = await fetch(url);
      assert.ok(site.contents.get("k")?.equals(Buffer.from(await answer.arrayBuffer())), name);
      assert.equal((await fetch(url.replace("localhost", "127.0.0.1"))).status, 403, "signed for one endpoint alone");
    }
  },
);
