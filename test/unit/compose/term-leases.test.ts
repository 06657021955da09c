import assert from "node:assert/strict";
import { test } from "node:test";
import { termLeases } from "../../../src/compose/term-leases.ts";
import { type Coordinator, CoordinatorError } from "../../../src/coordination/coordinator.ts";
import { embeddedCoordinator } from "../../../src/coordination/embedded/embedded-coordinator.ts";
import { ManualClock } from "../../support/manual-clock.ts";

test("a leader does not wait for the leases of the one before it, and has each of its own once", async () => {
  await using coordinator = embeddedCoordinator(new ManualClock());
  const before = termLeases(coordinator, { epoch: 1 });
  const after = termLeases(coordinator, { epoch: 2 });
  assert.ok((await before("repair", 600_000)) !== undefined);
  assert.equal(await before("repair", 600_000), undefined);
  const lease = await after("repair", 600_000);
  assert.equal(lease?.name, "repair/2");
  assert.equal(await after("repair", 600_000), undefined);
  await lease?.release();
  assert.ok((await after("repair", 600_000)) !== undefined);
});

test("a gateway that does not lead, and one whose coordinator does not answer, gets no lease", async () => {
  await using coordinator = embeddedCoordinator(new ManualClock());
  assert.equal(await termLeases(coordinator, { epoch: undefined })("repair", 600_000), undefined);
  const failing = (kind: "unavailable" | "invalid"): Coordinator =>
    new Proxy(coordinator, {
      get: (target, property) =>
        property === "acquire"
          ? () => Promise.reject(new CoordinatorError(kind, "no"))
          : Reflect.get(target, property, target),
    });
  assert.equal(await termLeases(failing("unavailable"), { epoch: 1 })("repair", 600_000), undefined);
  await assert.rejects(termLeases(failing("invalid"), { epoch: 1 })("repair", 600_000), CoordinatorError);
});
