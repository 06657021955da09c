/** What repair and promotion need of a coordinator: that one gateway at a time does them. */

export interface Lease {
  /** Aborts when the lease could not be kept: what is under way is to be left. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/** `undefined`: somebody else has it. It is kept until it is released, or lost. */
export type AcquireLease = (name: string) => Promise<Lease | undefined>;

/** Runs the task while the lease is held; does nothing where somebody else has it. */
export async function withLease(
  acquire: AcquireLease | undefined,
  name: string,
  task: { readonly signal: AbortSignal; readonly run: (signal: AbortSignal) => Promise<void> },
): Promise<void> {
  if (acquire === undefined) return await task.run(task.signal);
  const lease = await acquire(name);
  if (lease === undefined) return;
  try {
    await task.run(AbortSignal.any([task.signal, lease.lost]));
  } finally {
    await lease.release();
  }
}
