/** What there is to say of the journal, for an operator. */
import type { Gap } from "./chain.ts";

export interface DomainJournal {
  readonly domain: string;
  /** The last commit up to which its nodes have everything since the oldest snapshot that is kept, where it is known. */
  readonly through?: number;
}

export type SnapshotState = "none" | "requested" | "making";

export interface JournalSummary {
  readonly mode: "sync" | "async";
  /** The last commit that is durable in a quorum of domains. */
  readonly durableVersion: number;
  /** Age of the oldest commit that is not, in milliseconds. */
  readonly lagMs: number;
  /** Commits that are not. */
  readonly lagCommits: number;
  /** Why it cannot be written now. */
  readonly failure?: string;
}

export interface JournalStatus extends JournalSummary {
  /** Since the process started. */
  readonly written: { readonly segments: number; readonly bytes: number; readonly failures: number };
  readonly domains: readonly DomainJournal[];
  /** On the nodes, each counted once. */
  readonly segments: number;
  /** Of all pieces on all nodes. */
  readonly bytes: number;
  /** The newest snapshot that a quorum of domains holds; when it was made, by the wall clock of who made it. */
  readonly snapshot?: { readonly base: number; readonly madeAtMs?: number };
  readonly snapshotState: SnapshotState;
  /** Why the last one could not be made. */
  readonly snapshotFailure?: string;
  /** Whether the nodes hold all that a rebuild takes; undefined until those that answer were listed. */
  readonly rebuildable?: boolean;
  /** Commits since the oldest snapshot that is kept which no node that was listed holds: the first of them, in order. */
  readonly gaps: readonly Gap[];
  /** In all gaps. */
  readonly missingCommits: number;
  /** Nodes of which it is not known what they hold. */
  readonly unlisted: readonly string[];
}
