/** A gateway that finds none of its nodes takes itself for cut off; one that finds a domain lost does something about it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { metric, nodeReport } from "../support/admin.ts";
import { closeAll, domainName, nodeName, startServers } from "../support/clusters.ts";
import { eventually } from "../support/eventually.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { strictClientOf } from "../support/s3-client.ts";

const STANDBY = "standby";
const PATIENCE = { timeoutMs: 120_000, intervalMs: 500 };
const HOMES = [domainName(0), domainName(1), STANDBY];

async function reasons(gateway: Gateway): Promise<string> {
  const answer = await fetch(`${gateway.adminUrl}/readyz`);
  return ((await answer.json()) as { reasons: readonly string[] }).reasons.join("\n");
}

async function domainOf(gateway: Gateway, node: string): Promise<string> {
  return ((await nodeReport(gateway, node)) as unknown as { domain: string }).domain;
}

async function eventsOf(gateway: Gateway): Promise<string[]> {
  const { events } = (await gateway.admin("/api/v1/storage/cluster/events?limit=1000")) as {
    events: readonly { readonly kind: string }[];
  };
  return events.map(({ kind }) => kind).filter((kind) => kind.startsWith("GATEWAY_") || kind === "NODE_DOMAIN_CHANGED");
}

test("all active domains away promote nobody and say why; one of them away is promoted to", async (t) => {
  const servers = await startServers(3);
  if ("skip" in servers) return t.skip(servers.skip);
  t.after(() => closeAll(servers));
  const [first, second] = servers;
  assert.ok(first !== undefined && second !== undefined);
  const storage = {
    health: { "interval-seconds": 1 },
    promotion: { "interval-seconds": 1, "hysteresis-seconds": 3, "cool-down-seconds": 1 },
    "active-domains": HOMES.slice(0, 2),
    "standby-domain": STANDBY,
    nodes: servers.map(({ endpoint, accessKey, secretKey }, index) => {
      return { name: nodeName(index), endpoint, accessKey, secretKey, faultDomain: HOMES[index] };
    }),
  };
  await using gateway = await startGateway({ config: { storage } });
  using client = strictClientOf(gateway);
  await client.send(new CreateBucketCommand({ Bucket: "kept" }));

  await Promise.all([first.kill(), second.kill()]);
  await eventually("both are unreachable", PATIENCE, async () => {
    for (const index of [0, 1]) assert.equal((await nodeReport(gateway, nodeName(index))).state, "unreachable");
  });
  // By their missed probes, which go on: long after a promotion would have come.
  await eventually("they have been away for long", PATIENCE, async () => {
    assert.ok((await metric(gateway, "s3_node_missed_probes", { node: nodeName(0) })) >= 15);
  });
  assert.equal(await domainOf(gateway, nodeName(2)), STANDBY);
  assert.match(await reasons(gateway), /this gateway may be cut off, .* 2 of 3 nodes do not answer this gateway/);
  assert.match(await (await fetch(`${gateway.adminUrl}/metrics`)).text(), /^bulkhead_gateway_isolated 1$/m);

  await Promise.all([first.restart(), second.restart()]);
  await eventually("it is connected again", PATIENCE, async () => {
    assert.equal(await reasons(gateway), "");
    assert.deepEqual(await eventsOf(gateway), ["GATEWAY_ISOLATED", "GATEWAY_CONNECTED"]);
  });

  await first.kill();
  await eventually("the standby node is promoted", PATIENCE, async () => {
    assert.equal(await domainOf(gateway, nodeName(2)), domainName(0));
  });
  assert.deepEqual(await eventsOf(gateway), ["GATEWAY_ISOLATED", "GATEWAY_CONNECTED", "NODE_DOMAIN_CHANGED"]);
});
