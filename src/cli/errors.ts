/** The exit codes of `bulkhead`, as `bulkhead --help` tells them. */
export const EXIT = {
  ok: 0,
  /** The command did not succeed: the configuration has problems, there is no such object, ... */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The admin API does not answer. */
  unreachable: 3,
  /** The admin API refuses the key, or there is none. */
  denied: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a sentence for the user, or without one where nobody listens. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}
