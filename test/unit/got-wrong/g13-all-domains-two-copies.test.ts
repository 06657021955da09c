/** G13: with factor < domains only the first ones were used; one copy was acknowledged though two were possible. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPlacement } from "../../../src/placement/placement.ts";
import { patternBytes } from "../../support/blobs.ts";
import { liveBlobs, readCatalog } from "../../support/catalog-audit.ts";
import { openBox } from "../../support/open-box.ts";
import { evenTopology, nodeOf, policyOf, quickHasher, topologyOf } from "../placement/topologies.ts";

const KEYS = 6_000;

test("G13: with more domains than the factor all of them are used, by their weight", () => {
  const even = evenTopology(4, 1, policyOf(2));
  const { domains } = even;
  // The last domain has twice the weight of the others.
  const topology = topologyOf(domains, [...even.nodes, nodeOf("d3-1", "d3")], policyOf(2));
  const placement = createPlacement(topology, quickHasher);
  const counts = new Map(domains.map(({ name }) => [name, 0]));
  for (let key = 0; key < KEYS; key++) {
    const { slots } = placement.plan({ key: `key ${key}`, writable: () => true });
    assert.equal(new Set(slots.map(({ domain }) => domain)).size, 2);
    for (const { domain } of slots) counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  const share = (name: string): number => (counts.get(name) ?? 0) / (2 * KEYS);
  for (const name of ["d0", "d1", "d2"])
    assert.ok(Math.abs(share(name) - share("d0")) < 0.03, `${name}: ${share(name)}`);
  assert.ok(share("d3") > 1.4 * share("d0"), `the heavy one has ${share("d3")}, another one ${share("d0")}`);
});

test("G13: while two nodes accept writes two copies are acknowledged, whatever domains they stand in", async () => {
  const { gateway, client } = await openBox({ nodesPerDomain: 2 });
  gateway.nodeDown("d1-0");
  gateway.nodeDown("d1-1");
  await client.put("box/a", Buffer.from(patternBytes(100, 1)));
  const [blob] = liveBlobs(await readCatalog(gateway.kv)).values();
  const nodes = (blob?.slots ?? []).flatMap(({ location }) => (location === undefined ? [] : [location.nodeUuid]));
  assert.equal(new Set(nodes).size, 2);
  assert.deepEqual(gateway.writes, ["degraded"]);
});
