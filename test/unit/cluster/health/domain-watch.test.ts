import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewEvent } from "../../../../src/cluster/events/event.ts";
import { DomainWatch } from "../../../../src/cluster/health/domain-watch.ts";
import { openBox } from "../../../support/open-box.ts";

async function watched(): Promise<{
  readonly look: () => void;
  readonly events: NewEvent[];
  readonly set: (node: string, state: "online" | "degraded" | "unreachable" | "joining") => void;
}> {
  const { gateway } = await openBox({ nodesPerDomain: 2 });
  const events: NewEvent[] = [];
  const watch = new DomainWatch(
    () => gateway.members,
    (event) => void events.push(event),
  );
  return {
    look: () => watch.look(),
    events,
    set: (node, state) => gateway.members.setState(gateway.node(node).uuid, state),
  };
}

test("a domain is degraded once it has fewer healthy nodes than it needs, told once, and recovers at the second good look", async () => {
  const { look, events, set } = await watched();
  look();
  set("d1-0", "unreachable");
  look();
  assert.deepEqual(events, [], "one of two is enough for it");
  set("d1-1", "degraded");
  for (let at = 0; at < 3; at++) look();
  assert.deepEqual(events, [{ kind: "DOMAIN_DEGRADED", domain: "d1", cause: "0 of at least 1 nodes are online" }]);
  set("d1-1", "online");
  look();
  set("d1-1", "degraded");
  look();
  set("d1-1", "online");
  look();
  assert.equal(events.length, 1, "it flapped");
  look();
  assert.deepEqual(events[1], { kind: "DOMAIN_RECOVERED", domain: "d1", cause: "1 of at least 1 nodes are healthy" });
});

test("a domain whose nodes are still to be checked is not judged, and standby needs none", async () => {
  const { look, events, set } = await watched();
  for (const node of ["d0-0", "d0-1"]) set(node, "joining");
  look();
  assert.deepEqual(events, []);
});
