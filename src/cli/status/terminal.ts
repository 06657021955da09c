/** The terminal that a command prints to, or what stands in its place. */
export interface Terminal {
  /** Whether somebody looks at it: else output goes to a file or another program. */
  readonly interactive: boolean;
  readonly colors: boolean;
  /** As it is now. `undefined` where it is no terminal, and where it does not tell. */
  size(): { readonly columns: number; readonly rows: number } | undefined;
  /** Calls back when its size has changed. Returns how to stop listening. */
  onResize(changed: () => void): () => void;
  /** Aborts when the user wants the command to end: Ctrl-C, or the end of the session. From then on no signal ends it. */
  untilInterrupted(): AbortSignal & Disposable;
}
