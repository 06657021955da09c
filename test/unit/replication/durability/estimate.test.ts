import assert from "node:assert/strict";
import { test } from "node:test";
import { type DurabilityModel, estimateDurability } from "../../../../src/replication/durability/estimate.ts";
import { seededRandom } from "../../../../src/shared/random.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 365.25 * DAY_MS;

/** The time until no copy is left, in years, drawn event by event: nothing of the formula is in it. */
function drawTimeToLoss(
  { copies, annualFailureRate, meanTimeToRestoreMs }: DurabilityModel,
  draw: () => number,
): number {
  const failuresAYear = -Math.log(1 - annualFailureRate);
  const repairsAYear = YEAR_MS / meanTimeToRestoreMs;
  const wait = (rate: number): number => -Math.log(1 - draw()) / rate;
  let years = 0;
  for (let left = copies; left > 0; ) {
    const failure = Math.min(...Array.from({ length: left }, () => wait(failuresAYear)));
    const repair = left < copies ? wait(repairsAYear) : Number.POSITIVE_INFINITY;
    years += Math.min(failure, repair);
    left += failure < repair ? -1 : 1;
  }
  return years;
}

function near(value: number, wanted: number, share: number, what: string): void {
  assert.ok(Math.abs(value - wanted) <= share * wanted, `${what}: ${value} is not near ${wanted}`);
}

for (const model of [
  { copies: 1, annualFailureRate: 0.5, meanTimeToRestoreMs: DAY_MS },
  { copies: 2, annualFailureRate: 0.5, meanTimeToRestoreMs: 30 * DAY_MS },
  { copies: 3, annualFailureRate: 0.6, meanTimeToRestoreMs: 60 * DAY_MS },
  { copies: 4, annualFailureRate: 0.8, meanTimeToRestoreMs: 90 * DAY_MS },
]) {
  test(`the estimate for ${model.copies} copies is what a simulation of failures and repairs comes to`, () => {
    const random = seededRandom(model.copies);
    const drawn = Array.from({ length: 20_000 }, () => drawTimeToLoss(model, () => random.float()));
    const mean = drawn.reduce((sum, years) => sum + years, 0) / drawn.length;
    const lost = drawn.filter((years) => years <= 1).length / drawn.length;
    const { meanTimeToLossYears, annualLossProbability } = estimateDurability(model);
    near(mean, meanTimeToLossYears, 0.03, "mean time to loss");
    // With one copy the time to loss is exponentially distributed; with more, a first loss takes its time.
    if (model.copies === 1) near(lost, annualLossProbability, 0.03, "lost within a year");
    else assert.ok(lost <= annualLossProbability, `${lost} of them were lost within a year`);
  });
}

test("for two copies it is the formula that is in every textbook", () => {
  const rate = -Math.log(0.98);
  const repairs = 365.25;
  const { meanTimeToLossYears } = estimateDurability({
    copies: 2,
    annualFailureRate: 0.02,
    meanTimeToRestoreMs: DAY_MS,
  });
  near(meanTimeToLossYears, (3 * rate + repairs) / (2 * rate * rate), 1e-9, "mean time to loss");
});

test("more copies, faster repair and fewer failures are each safer, to the last digit that a number has", () => {
  const base = { copies: 2, annualFailureRate: 0.02, meanTimeToRestoreMs: 60_000 };
  const lossOf = (change: Partial<DurabilityModel>): number =>
    estimateDurability({ ...base, ...change }).annualLossProbability;
  assert.ok(lossOf({ copies: 3 }) < lossOf({}));
  assert.ok(lossOf({ meanTimeToRestoreMs: 30_000 }) < lossOf({}));
  assert.ok(lossOf({ annualFailureRate: 0.01 }) < lossOf({}));
  const many = estimateDurability({ ...base, copies: 16 });
  assert.ok(many.annualLossProbability > 0 && Number.isFinite(many.meanTimeToLossYears));
});

test("what makes no sense is refused", () => {
  const base = { copies: 2, annualFailureRate: 0.02, meanTimeToRestoreMs: 60_000 };
  for (const change of [{ copies: 0 }, { copies: 1.5 }, { annualFailureRate: 0 }, { annualFailureRate: 1 }]) {
    assert.throws(() => estimateDurability({ ...base, ...change }), RangeError);
  }
  assert.throws(() => estimateDurability({ ...base, meanTimeToRestoreMs: 0 }), RangeError);
});
