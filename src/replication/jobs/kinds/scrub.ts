/** SCRUB: has a node compared with the catalog and every copy on it read, and shows that pass as a job. */
import { type Clock, sleep } from "../../../shared/clock.ts";
import type { ScrubPass } from "../../scrub/scrub-state.ts";
import type { Scrubbing } from "../../scrub/scrubbing.ts";
import { JobObsoleteError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";

export interface ScrubJobDeps {
  readonly scrubbing: Pick<Scrubbing, "request" | "report">;
  readonly clock: Clock;
}

const LOOK_MS = 2_000;
/** The cursor once the pass was asked for, before the time when that was. */
const ASKED = "asked:";

export async function scrub({ scrubbing, clock }: ScrubJobDeps, live: LiveJob): Promise<void> {
  const { name, key } = live.record.subject;
  if (live.cursor === undefined) {
    const askedAtMs = clock.nowMs();
    if (!scrubbing.request(name)) throw new JobObsoleteError("the node is no member that can be read");
    await live.reached(`${ASKED}${askedAtMs}`, { save: true });
  }
  const askedAtMs = Number(live.cursor?.slice(ASKED.length));
  live.waiting = true;
  for (;;) {
    const report = (await scrubbing.report()).find(({ nodeUuid }) => nodeUuid === key);
    if (report === undefined) throw new JobObsoleteError("the node is no member any more");
    const { last, pass } = report.scrub;
    const shown = pass ?? last;
    if (shown?.requested === true) {
      live.describe(told(shown));
      live.restored(shown.seen, Math.max(0, shown.verifiedBytes - live.view().job.counts.bytes));
      await live.reached(live.cursor, { total: shown.total });
    }
    if (last?.requested === true && last.endedAtMs >= askedAtMs && pass === undefined && !report.requested) {
      return live.describe(told(last));
    }
    // What was asked for is forgotten when the gateway ends before the pass begins.
    if (!report.requested && pass?.requested !== true) scrubbing.request(name);
    await sleep(clock, LOOK_MS, live.signal);
  }
}

function told({ verified, corrupt, lost, failed }: ScrubPass): string {
  return `${verified} copies are right, ${corrupt} corrupt, ${lost} lost, ${failed} could not be read`;
}
