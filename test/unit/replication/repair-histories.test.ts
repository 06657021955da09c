/** Repair over histories of nodes that go and return. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound, liveBlobs } from "../../support/catalog-audit.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openBox } from "../../support/open-box.ts";
import { changeSlot, copyCount } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(300_000, 1));

test("whatever fails and is repaired in whatever order, no good copy is given up, and all is complete when the nodes are back", async () => {
  const names = ["d0-0", "d0-1", "d1-0", "d1-1"];
  const step = fc.oneof(
    fc.record({ kind: fc.constant("down" as const), node: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant("up" as const), node: fc.constantFrom(...names) }),
    fc.record({ kind: fc.constant("doubt" as const), slot: fc.nat(1) }),
    fc.record({ kind: fc.constant("repair" as const) }),
    fc.record({ kind: fc.constant("sweep" as const) }),
    fc.record({ kind: fc.constant("put" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const { gateway, client } = await openBox({ nodesPerDomain: 2, policy: { domainChoice: "priority" } });
      await client.put("box/a", BYTES);
      for (const taken of steps) {
        const before = await goodBytes(gateway);
        if (taken.kind === "down") gateway.nodeDown(taken.node);
        if (taken.kind === "up") {
          gateway.nodeUp(taken.node);
          gateway.process.repairer.nodeCameBack();
        }
        if (taken.kind === "doubt") {
          await changeSlot(gateway, "a", taken.slot, (slot) =>
            slot.state === "ok" ? { ...slot, state: "unverified" } : slot,
          );
        }
        if (taken.kind === "repair") await gateway.repair();
        if (taken.kind === "sweep") await gateway.sweepPastGrace();
        if (taken.kind === "put") await gateway.whileTimePasses(client.put("box/a", BYTES).catch(() => {}));
        const after = await goodBytes(gateway);
        assert.ok(taken.kind === "put" || after >= before, `${taken.kind} left ${after} of ${before} good copies`);
        assert.ok(after >= 1);
      }
      for (const name of names) gateway.nodeUp(name);
      gateway.process.repairer.nodeCameBack();
      await gateway.quiesce();
      await assertFullyRedundant(gateway);
      assert.deepEqual(await client.get("box/a"), BYTES);
      assert.equal(copyCount(gateway), 2);
    }),
    { numRuns: 40 },
  );
});

/** Copies on record whose bytes are on their nodes, whatever the nodes' state. */
async function goodBytes(gateway: InMemoryGateway): Promise<number> {
  const contents = await assertSound(gateway);
  return [...liveBlobs(contents).values()]
    .flatMap(({ slots }) => slots)
    .filter(({ location }) => location !== undefined && gateway.nodeOf(location.nodeUuid).store.blobs.has(location.key))
    .length;
}
