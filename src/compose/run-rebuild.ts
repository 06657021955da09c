/** The rebuild as a command: its progress and its report in words. */
import type { ReplayProgress } from "../catalog/journal/replay.ts";
import { type RebuildOptions, type RebuildReport, rebuildCatalog } from "./rebuild.ts";
import { StartError } from "./start-step.ts";

interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Commits between two lines of progress. */
const PROGRESS_COMMITS = 10_000;

/** @returns whether there is a catalog now */
export async function runRebuild(
  options: Omit<RebuildOptions, "onProgress"> & { readonly json: boolean },
  { stdout, stderr }: Streams,
): Promise<boolean> {
  let told = 0;
  const onProgress = ({ snapshot, version, last }: ReplayProgress): void => {
    if (snapshot !== undefined) {
      stderr.write(`snapshot after commit ${version}: chunk ${snapshot.chunk} of ${snapshot.chunks}\n`);
    } else if (version >= told + PROGRESS_COMMITS || version === last) {
      told = version;
      stderr.write(`journal: commit ${version} of ${last}\n`);
    }
  };
  try {
    const report = await rebuildCatalog({ ...options, onProgress });
    stdout.write(options.json ? `${JSON.stringify(jsonOf(report), null, 2)}\n` : textOf(report));
    return true;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    stderr.write(`bulkhead: ${error.message}\n`);
    return false;
  }
}

function textOf(report: RebuildReport): string {
  const { clusterId, version, lastWrittenAtMs, gapUntil, unseen, badPieces } = report;
  const written = lastWrittenAtMs === undefined ? "" : `, written at ${new Date(lastWrittenAtMs).toISOString()}`;
  const lines = [
    `The catalog of cluster ${clusterId} is made again, up to commit ${version}${written}.`,
    ...unseen.map(({ node, domain, reason }) => `Not seen: the journal of ${node} in ${domain}: ${reason}.`),
    ...(unseen.length === 0 ? [] : ["What was acknowledged by those nodes alone is missing."]),
    ...(gapUntil === undefined
      ? []
      : [`Left out: what was committed from ${gapUntil} on, since something between is missing.`]),
    ...badPieces.map((piece) => `Not usable: ${piece}`),
    ...(unseen.length === 0 && gapUntil === undefined
      ? []
      : ["What is on the nodes and not in this catalog is kept, until `bulkhead catalog accept`."]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function jsonOf(report: RebuildReport): object {
  const { lastWrittenAtMs } = report;
  return {
    cluster_id: report.clusterId,
    version: report.version,
    last_written_at: lastWrittenAtMs === undefined ? null : new Date(lastWrittenAtMs).toISOString(),
    snapshot_base: report.snapshotBase ?? null,
    gap_until: report.gapUntil ?? null,
    unseen: report.unseen,
    bad_pieces: report.badPieces,
  };
}
