export interface JournalSettings {
  /** Whether a commit is answered only when it is durable in the journal. */
  readonly sync: boolean;
  /** In `async`: how long commits are collected before they go, in milliseconds. */
  readonly collectMs: number;
  /** How long a commit waits for the journal, in milliseconds. */
  readonly timeoutMs: number;
  /** A snapshot is made when the last one is this old ... */
  readonly snapshotIntervalMs: number;
  /** ... or when the journal behind it has grown to this many bytes. */
  readonly snapshotBytes: number;
}
