/** A process that dies at any of its commits loses nothing: the next one goes on, and the end is the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogError } from "../../../../src/catalog/kv.ts";
import type { JobKind } from "../../../../src/catalog/records/job.ts";
import { isOver } from "../../../../src/replication/jobs/job-store.ts";
import { patternBytes } from "../../../support/blobs.ts";
import { assertFullyRedundant } from "../../../support/catalog-audit.ts";
import { type InMemoryGateway, turns } from "../../../support/in-memory-gateway.ts";
import { closeNode, heldBy, openJobs, setAccepting } from "../../../support/jobs.ts";
import { openBox } from "../../../support/open-box.ts";

const KEYS = ["a", "b", "c", "d", "e", "f", "g", "h"];
const BYTES = Buffer.from(patternBytes(3_000, 1));
/** More than a rebalance makes, and than a drain does until it waits for what it left behind to be swept. */
const COMMITS_MAX = 16;
const STEPS_MAX = 100;

/** From the nth commit on the store answers nothing, before the commit or after it. @returns whether it came to that */
async function runUntilDead(
  gateway: InMemoryGateway,
  begin: () => Promise<unknown>,
  how: { nth: number; after: boolean },
) {
  let commits = 0;
  gateway.kv.hooks.commit = async (_request, pass) => {
    commits += 1;
    if (commits === how.nth && how.after) await pass();
    if (commits >= how.nth) throw new CatalogError("unknown-outcome", "the process is gone");
    return pass();
  };
  await begin().catch(() => undefined);
  for (let step = 0; step < STEPS_MAX && commits < how.nth; step++) {
    await turns(10);
    if (commits < how.nth) gateway.clock.advance(5_000);
  }
  return commits >= how.nth;
}

for (const { kind, after } of [
  { kind: "DRAIN", after: false },
  { kind: "DRAIN", after: true },
  { kind: "REBALANCE_TO_NEW", after: false },
  { kind: "REBALANCE_TO_NEW", after: true },
] as const) {
  test(`${kind} goes on after a crash at every commit, ${after ? "behind" : "before"} it`, async () => {
    let last = 0;
    for (let nth = 1; nth <= COMMITS_MAX; nth++) {
      last = nth;
      if (!(await crashOnce(kind, { nth, after }))) break;
    }
    assert.ok(last > KEYS.length / 2, `${last} commits`);
  });
}

async function crashOnce(kind: JobKind, how: { nth: number; after: boolean }): Promise<boolean> {
  const { gateway, client } = await openBox({ nodesPerDomain: 2, seed: 7 });
  const changed = kind === "DRAIN" ? "d0-0" : "d0-1";
  if (kind !== "DRAIN") closeNode(gateway, changed);
  for (const key of KEYS) await client.put(`box/${key}`, BYTES);
  const spec = (): void => setAccepting(gateway, changed, kind !== "DRAIN");
  spec();
  const wish = { kind, subject: { node: changed }, cause: "a test", askedBy: "test" };
  const first = openJobs(gateway);
  const died = await runUntilDead(gateway, () => first.jobs.submit(wish), how);
  await first[Symbol.asyncDispose]();
  gateway.kv.hooks = {};
  await gateway.restart();
  spec();
  await using second = openJobs(gateway, { meanwhile: () => gateway.sweep() });
  const [known] = await second.jobs.list();
  const id = known?.job.id ?? (await second.jobs.submit(wish)).view.job.id;
  assert.equal((await second.until(id, isOver)).state, "done");
  // What the dead process left on the nodes is collected as any process's orphans are.
  await gateway.collectOrphans();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  assert.equal(heldBy(gateway, "d0-0") + heldBy(gateway, "d0-1"), KEYS.length);
  if (kind === "DRAIN") assert.equal(heldBy(gateway, changed), 0);
  for (const key of KEYS) assert.ok((await client.get(`box/${key}`)).equals(BYTES));
  return died;
}
