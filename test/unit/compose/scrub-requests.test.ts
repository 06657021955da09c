/** A scrub that is asked for is done by the gateway that leads, whichever was asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scrubRequests } from "../../../src/compose/scrub-requests.ts";
import { openInMemoryGateway } from "../../support/in-memory-gateway.ts";
import { openJobs } from "../../support/jobs.ts";

test("a gateway that leads begins a scrub at once; another one leaves a job for the leader", async () => {
  const gateway = await openInMemoryGateway();
  const begun: (string | undefined)[] = [];
  const scrubbing = {
    report: async () => [],
    request: (name?: string) => {
      begun.push(name);
      return name !== "nobody";
    },
  };
  await using box = openJobs(gateway, { work: { SCRUB: async () => {} } });
  let leads = true;
  const requests = scrubRequests({ scrubbing, isLeader: () => leads, jobs: box.jobs, members: () => gateway.members });
  assert.deepEqual([await requests.request("d0-0"), await requests.request("nobody")], [true, false]);
  assert.deepEqual(begun, ["d0-0", "nobody"]);
  assert.deepEqual(await box.jobs.list(), []);
  leads = false;
  assert.deepEqual([await requests.request("nobody"), await requests.request("d0-0")], [false, true]);
  const subjects = async () => (await box.jobs.list()).map(({ job }) => `${job.kind} ${job.subject.name}`).toSorted();
  assert.deepEqual(await subjects(), ["SCRUB d0-0"]);
  assert.equal(await requests.request(), true);
  assert.deepEqual([...new Set(await subjects())], ["SCRUB d0-0", "SCRUB d1-0"]);
  assert.equal(begun.length, 2);
});
