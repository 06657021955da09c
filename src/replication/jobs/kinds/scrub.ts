/** SCRUB: has a node compared with the catalog and every copy on it read, and shows that pass as a job. */
import { type Clock, sleep } from "../../../shared/clock.ts";
import type { Id } from "../../../shared/ids.ts";
import type { ScrubPass } from "../../scrub/scrub-state.ts";
import type { NodeScrubReport, Scrubbing } from "../../scrub/scrubbing.ts";
import { JobObsoleteError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";

export interface ScrubJobDeps {
  readonly scrubbing: Pick<Scrubbing, "request" | "report">;
  readonly clock: Clock;
}

const LOOK_MS = 2_000;
/** The cursor once a pass was asked for, before the end of the last one that was over then: another one is ours. */
const AFTER = "after:";

export async function scrub({ scrubbing, clock }: ScrubJobDeps, live: LiveJob): Promise<void> {
  const { name, key } = live.record.subject;
  if (live.cursor?.startsWith(AFTER) !== true) {
    const { last } = (await reportOf(scrubbing, key)).scrub;
    if (!scrubbing.request(name)) throw new JobObsoleteError("the node is no member that can be read");
    await live.reached(`${AFTER}${last?.endedAtMs ?? 0}`, { save: true });
  }
  const before = Number(live.cursor?.slice(AFTER.length));
  live.waiting = true;
  for (;;) {
    const report = await reportOf(scrubbing, key);
    const { last, pass } = report.scrub;
    const shown = pass ?? last;
    if (shown?.requested === true) {
      live.describe(told(shown));
      live.restored(shown.seen, Math.max(0, shown.verifiedBytes - live.view().job.counts.bytes));
      await live.reached(live.cursor, { total: shown.total });
    }
    if (last?.requested === true && last.endedAtMs !== before && pass === undefined && !report.requested) {
      return live.describe(told(last));
    }
    // What was asked for is forgotten when the gateway ends before the pass begins.
    if (!report.requested && pass?.requested !== true) scrubbing.request(name);
    await sleep(clock, LOOK_MS, live.signal);
  }
}

async function reportOf(scrubbing: ScrubJobDeps["scrubbing"], nodeUuid: Id): Promise<NodeScrubReport> {
  const report = (await scrubbing.report()).find((one) => one.nodeUuid === nodeUuid);
  if (report === undefined) throw new JobObsoleteError("the node is no member any more");
  return report;
}

function told({ verified, corrupt, lost, failed }: ScrubPass): string {
  return `${verified} copies are right, ${corrupt} corrupt, ${lost} lost, ${failed} could not be read`;
}
