import type { Members } from "../../../cluster/members.ts";
import { JobObsoleteError } from "../job-runner.ts";
import type { LiveJob } from "../live-job.ts";

/** @throws JobObsoleteError when the node or the domain that a job is about left the cluster */
export function requireSubject({ topology }: Members, { record: { subject } }: LiveJob): void {
  const isThere =
    subject.kind === "node"
      ? topology.nodes.some(({ uuid }) => uuid === subject.key)
      : topology.domains.some(({ name }) => name === subject.key);
  if (!isThere) throw new JobObsoleteError(`the ${subject.kind} is no member any more`);
}
