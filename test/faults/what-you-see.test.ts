/**
 * Nodes and domains fail as the pages of docs/operations have it, and what these pages say is seen is what is seen: in the
 * log, at /readyz, in events, metrics and commands. Pages on Redis, the catalog, the journal's loss and killed gateways are
 * held to by redis-lost, lmdb-full, restore-drill and gateway-kill.
 */
import assert from "node:assert/strict";
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3ServiceException } from "@aws-sdk/client-s3";
import { metric, nodeReport } from "../support/admin.ts";
import { eventually } from "../support/eventually.ts";
import { flipOnDisk } from "../support/flip-on-disk.ts";
import { bulkhead } from "../support/gateway-cli.ts";
import { BUCKET, overSharedServers, PATIENCE, type Site } from "../support/minio-site.ts";
import { operationsPage } from "../support/operations-page.ts";
import { clientOfNode } from "../support/s3-client.ts";

const onMinio = overSharedServers(3);
const THREE_DOMAINS = [
  ["a", "a1"],
  ["b", "b1"],
  ["c", "c1"],
] as const;

interface Readiness {
  readonly status: string;
  readonly reasons: readonly string[];
}

async function readyz({ gateway }: Site): Promise<Readiness> {
  return (await (await fetch(`${gateway.adminUrl}/readyz`)).json()) as Readiness;
}

/** Waits until /readyz has a reason that begins so, and is of that status. */
async function untilReason(site: Site, status: string, reason: string): Promise<void> {
  await eventually(`a reason: ${reason}`, PATIENCE, async () => {
    const answer = await readyz(site);
    assert.ok(
      answer.reasons.some((each) => each.startsWith(reason)),
      JSON.stringify(answer),
    );
    assert.equal(answer.status, status);
  });
}

async function untilWell(site: Site): Promise<void> {
  await eventually("all is well again", PATIENCE, async () => {
    assert.deepEqual(await readyz(site), { status: "ok", reasons: [] });
  });
}

async function untilSeen(site: Site, command: readonly string[], seen: RegExp): Promise<void> {
  await eventually(`bulkhead ${command.join(" ")} shows ${seen}`, PATIENCE, async () => {
    assert.match(await bulkhead(site.gateway, ...command), seen);
  });
}

function assertLogged(site: Site, message: string): void {
  assert.ok(site.gateway.output.includes(`"message":${JSON.stringify(message)}`), `not in the log: ${message}`);
}

/** The code of a call's failure and what it says. */
async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof S3ServiceException) return `${error.$metadata.httpStatusCode} ${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error("it did not fail");
}

onMinio("a node that is down", { nodes: THREE_DOMAINS }, async (site) => {
  const page = operationsPage("node-down");
  await site.putMany(6, 2_000);
  await site.kill("b1");
  await site.putMany(12, 2_000, "meanwhile-");
  await untilReason(
    site,
    "degraded",
    "node b1 is unreachable: reach: the node cannot be reached, or what answers is no S3",
  );
  page.says("reach: the node cannot be reached, or what answers is no S3 service");
  await untilSeen(site, ["nodes"], new RegExp(`^b1 .*${page.says("unreachable")}`, "m"));
  await untilSeen(site, ["status"], /missing 12\b/);
  assertLogged(site, page.says("a node's circuit breaker opened"));
  assertLogged(site, page.says("node is not online"));
  page.says('outcome="unreachable"');
  assert.notEqual(await metric(site.gateway, "s3_node_operations_total", { node: "b1", outcome: "unreachable" }), 0);
  await site.restart("b1");
  await untilWell(site);
  for (const kind of ["NODE_DEGRADED", "NODE_OFFLINE", "NODE_ONLINE"]) {
    await untilSeen(site, ["events"], new RegExp(`${page.says(kind)} +b1`));
  }
  await eventually("what was missed is made", PATIENCE, () => site.assertExact(3));
});

onMinio("a node that denies access, one that is full, and all of them full", { nodes: THREE_DOMAINS }, async (site) => {
  const denied = operationsPage("access-denied");
  const { proxy } = site.node("b1");
  proxy.faults = { answer: { methods: /./, status: "403 Forbidden", code: "AccessDenied" } };
  await untilReason(site, "degraded", "node b1 is access-denied: access: the node refuses the credentials (403");
  denied.says('"reason":"access: the node refuses the credentials (403');
  assertLogged(site, denied.says("node is not online"));
  await untilSeen(site, ["nodes"], new RegExp(`^b1 .*${denied.says("access-denied")}`, "m"));
  proxy.faults = {};
  await untilWell(site);

  const page = operationsPage("node-full");
  const full = { methods: /^PUT$/, status: "507 Insufficient Storage", code: "XMinioStorageFull" };
  proxy.faults = { answer: full };
  await site.putMany(6, 2_000);
  await untilReason(site, "degraded", "node b1 has no room for new copies");
  page.says("has no room for new copies");
  await untilSeen(site, ["nodes"], new RegExp(`^b1 .*${page.says("online, full")}`, "m"));
  await untilSeen(site, ["events"], new RegExp(`${page.says("NODE_FULL")} +b1`));
  page.says('s3_node_operations_total{operation="put",outcome="full"}');
  assert.notEqual(await metric(site.gateway, "s3_node_operations_total", { operation: "put", outcome: "full" }), 0);

  for (const node of site.nodes) node.proxy.faults = { answer: full };
  const put = site.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: "refused", Body: "x" }));
  assert.match(await failureOf(put), /^503 ServiceUnavailable: The storage nodes have no room left/);
  page.says("503 ServiceUnavailable, `The storage nodes have no room left`");
  await untilReason(site, page.says("read-only"), "too few nodes accept writes");
  await site.readAll();
});

onMinio(
  "a copy that is corrupt, a node that was wiped, one that is not the one that was meant",
  { nodes: THREE_DOMAINS },
  async (site) => {
    const corrupt = operationsPage("corrupt-copy");
    await site.put("k", 300_000);
    const bytes = site.contents.get("k") ?? assert.fail("it was put");
    for (const { server, bucket } of site.nodes.slice(0, 2)) {
      const drive = server.dataDir ?? assert.fail("its drive is here");
      assert.equal(await flipOnDisk(`${drive}/${bucket}`, bytes.subarray(100_000, 100_064)), 1);
    }
    await eventually("a read meets it", PATIENCE, async () => {
      await site.readAll();
      assertLogged(site, corrupt.says("a bad copy was taken out of service"));
    });
    corrupt.says('bulkhead_bad_copies_total{node="node-a1",state="corrupt"}');
    assert.notEqual(await metric(site.gateway, "bulkhead_bad_copies_total", { state: "corrupt" }), 0);

    const refused = operationsPage("node-refused");
    const { server, bucket } = site.node("c1");
    using direct = clientOfNode(server);
    const identity = { Bucket: bucket, Key: ".bulkhead/identity" };
    const { Body } = await direct.send(new GetObjectCommand(identity));
    const ours = (await Body?.transformToString()) ?? "";
    await direct.send(new PutObjectCommand({ ...identity, Body: "somebody's" }));
    await untilReason(site, "degraded", `node c1 is refused: ${refused.says("its identity document cannot be read")}`);
    await direct.send(new PutObjectCommand({ ...identity, Body: ours }));
    await untilWell(site);

    const replaced = operationsPage("node-replaced");
    await site.kill("b1");
    await site.node("b1").server.wipe();
    await site.restart("b1");
    await untilReason(site, "degraded", "node b1 is replaced: its bucket is gone");
    replaced.says('"reason":"its bucket is gone","message":"node is not online"');
    await untilSeen(site, ["nodes"], new RegExp(`^b1 .*${replaced.says("replaced")}`, "m"));
    await site.readAll();
  },
);

onMinio(
  "a domain that is lost, two of three, and all",
  { nodes: THREE_DOMAINS, storage: { replication: { factor: 2 } } },
  async (site) => {
    const [one, two] = [operationsPage("domain-lost"), operationsPage("two-domains-lost")];
    await site.putMany(24, 2_000);
    const unreadable = [...(await site.copies())].find(([, copies]) => copies.every(({ node }) => node !== "a1"));
    assert.ok(unreadable !== undefined, "one of them has no copy on a1");
    const [Key] = unreadable;
    await site.kill("b1");
    one.says("`bulkhead domains` shows `0/N` online");
    await untilSeen(site, ["domains"], /^b .*\b0\/1\b/m);
    await untilReason(site, one.says("degraded"), "node b1 is unreachable");
    await site.readAll();

    await site.kill("c1");
    two.says("`bulkhead domains` shows `0/N` online for each");
    await untilSeen(site, ["domains"], /^c .*\b0\/1\b/m);
    await untilReason(site, two.says("degraded"), "node c1 is unreachable");
    const get = site.client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    assert.match(await failureOf(get), /^503 ServiceUnavailable/);
    two.says("503 ServiceUnavailable");
    const head = await site.client.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
    assert.equal(head.ContentLength, 2_000);
    const located = await bulkhead(site.gateway, "objects", "locate", BUCKET, Key);
    assert.ok(located.includes("b1") && located.includes("c1"), located);
    await site.put("meanwhile", 2_000);
    const replication = await site.gateway.admin("/api/v1/storage/cluster/replication");
    assert.equal((replication as { readonly dead_letters?: number }).dead_letters ?? 0, 0);

    await site.kill("a1");
    await untilReason(site, two.says("read-only"), two.says("the catalog's journal cannot be written: ").slice(0, -1));
    await untilReason(site, "read-only", two.says("too few nodes accept writes"));
    const refused = site.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: "refused", Body: "x" }));
    assert.match(await failureOf(refused), /^503 /);
    for (const name of ["a1", "b1", "c1"]) await site.restart(name);
    await untilWell(site);
    assert.equal((await nodeReport(site.gateway, "a1")).state, "online");
    await site.readAll();
    await eventually("everything is as it should be", PATIENCE, () => site.assertExact(2));
  },
);
