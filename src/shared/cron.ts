/** Schedules by the wall clock, behind a seam so that tests have their own. */
import { schedule, validateDetailed } from "node-cron";

export interface CronJob {
  stop(): void;
}

/**
 * Runs a task by a schedule of six fields, seconds first; `?` stands for `*`. A run that is still under way when the next
 * one is due is not joined by it. It keeps no process alive.
 * @throws RangeError when the schedule cannot be read
 */
export type Cron = (pattern: string, task: () => Promise<void>) => CronJob;

/** Why a schedule cannot be read; `undefined` for one that can. */
export function cronProblem(pattern: string): string | undefined {
  const { valid, errors } = validateDetailed(pattern);
  return valid ? undefined : errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
}

export const systemCron: Cron = (pattern, task) => {
  const problem = cronProblem(pattern);
  if (problem !== undefined) throw new RangeError(`the schedule ${pattern} cannot be read: ${problem}`);
  const job = schedule(pattern, task, { noOverlap: true, unref: true, suppressMissedWarning: true });
  return { stop: () => void job.destroy() };
};
