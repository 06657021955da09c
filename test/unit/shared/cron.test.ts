import assert from "node:assert/strict";
import { test } from "node:test";
import { cronProblem, systemCron } from "../../../src/shared/cron.ts";

test("schedules of six fields are read, with a question mark for any day", () => {
  for (const pattern of ["0 */15 * * * ?", "0 0 3 * * 1-5", "30 0 0 1 1 *"])
    assert.equal(cronProblem(pattern), undefined);
});

test("a schedule that cannot be read is refused with the field that is wrong", () => {
  assert.match(cronProblem("99 * * * * ?") ?? "", /second/);
  assert.match(cronProblem("0 0 25 * * ?") ?? "", /hour/);
  assert.throws(() => systemCron("99 * * * * ?", async () => {}), RangeError);
});

test("a job can be stopped, and keeps no process alive", () => {
  const job = systemCron("0 0 0 1 1 *", async () => {});
  job.stop();
  job.stop();
});
