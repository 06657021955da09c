/**
 * Random operations on few objects, against a model of maps: that every read answers right, that the catalog stays sound
 * all the while, and that nothing is left of anything when all was deleted (I3, I4).
 */
import { test } from "node:test";
import fc from "fast-check";
import { assertNothingLeft, assertSound } from "../../support/catalog-audit.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { ObjectClient } from "../../support/object-client.ts";
import { World } from "./object-model.ts";
import { anOp, type Op } from "./object-ops.ts";

async function openWorld(seed: number): Promise<World> {
  const gateway = await openInMemoryGateway({ seed });
  const world = new World(gateway, new ObjectClient(() => gateway.service));
  await world.createBuckets();
  return world;
}

test("after any operations every object has its bytes, and when all is deleted nothing is left anywhere", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(anOp, { minLength: 5, maxLength: 40 }), async (seed, ops: readonly Op[]) => {
      const world = await openWorld(seed);
      for (const op of ops) {
        await world.run(op);
        await assertSound(world.gateway);
      }
      await world.assertSame();
      await world.deleteEverything();
      await world.gateway.quiesce();
      await assertNothingLeft(world.gateway);
    }),
    { numRuns: 60 },
  );
});
