/** What a verification of the catalog tells. */

export type Finding =
  /** The journal does not say what the catalog holds. `key` is packed. */
  | { readonly kind: "entry-differs"; readonly key: Uint8Array; readonly what: "missing" | "extra" | "other" }
  /** A copy of a piece of the journal is damaged or cannot be read. */
  | { readonly kind: "bad-piece"; readonly node: string; readonly piece: string; readonly reason: string }
  /** The nodes do not hold what a rebuild takes: what it would come to, and where there is more behind the gap. */
  | { readonly kind: "not-rebuildable"; readonly version: number; readonly gapUntil?: number }
  /** Domains that ought to do for a rebuild, and would not. */
  | { readonly kind: "domains-insufficient"; readonly domains: readonly string[] }
  /** Copies on record that a node does not hold, or of which nothing could be learnt. */
  | { readonly kind: "copies-missing"; readonly node: string; readonly lost: number; readonly failed: number };

/** What a node's listing and the catalog's record of it came to. */
export interface NodeCounts {
  /** Copies that the node listed. */
  readonly listed: number;
  /** Copies on record that the node does not hold. */
  readonly lost: number;
  /** Copies that nothing names, to be collected. */
  readonly orphans: number;
  /** Other copies that nothing names: writes under way among them. */
  readonly unknown: number;
  /** Copies on record of which nothing could be learnt. */
  readonly failed: number;
}

export interface VerifiedNode extends NodeCounts {
  readonly node: string;
}

export interface VerifiedDomain {
  readonly domain: string;
  /** The last commit up to which its nodes have everything since the oldest snapshot that is kept. */
  readonly through: number;
  /** Whether its nodes alone would do for a rebuild. */
  readonly sufficient: boolean;
}

export type VerificationStep = "listing" | "pieces" | "replay" | "entries" | "copies";

export interface Verification {
  readonly startedAtMs: number;
  /** Undefined while it runs. */
  readonly endedAtMs?: number;
  readonly step: VerificationStep;
  /** Of the step under way, in its own unit: nodes, pieces, commits, entries, nodes. */
  readonly done: number;
  /** Undefined where it is not known. */
  readonly total?: number;
  /** The last commit that was durable in the journal when it began. */
  readonly durableVersion: number;
  readonly pieces: number;
  readonly entries: number;
  readonly domains: readonly VerifiedDomain[];
  readonly nodes: readonly VerifiedNode[];
  /** Nodes that could not be asked: what they hold was not looked at. */
  readonly notAsked: readonly string[];
  /** The first of them. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** Why it could not be brought to its end. */
  readonly failure?: string;
}
