/** What another process does between two steps of a call, for each pair of steps in turn. */
import type { HookedKv } from "./hooked-kv.ts";

export interface Interposed {
  /** Whether there was such a step. */
  readonly reached: () => boolean;
}

/** Runs the intrusion before the call's step number `at`, counted from 1: before a read, a list or a commit. */
export function interposeAt(kv: HookedKv, at: number, intrusion: () => Promise<void>): Interposed {
  let step = 0;
  const before = async (): Promise<void> => {
    step++;
    if (step !== at) return;
    // What the intrusion itself asks for is none of the call's steps.
    kv.hooks = {};
    await intrusion();
  };
  kv.hooks = {
    get: before,
    list: before,
    commit: async (_, pass) => {
      await before();
      return pass();
    },
  };
  return { reached: () => step >= at };
}

/** Tries the intrusion at every step that the call has: `scenario` gets the number, and answers whether there was one. */
export async function atEveryStep(scenario: (at: number) => Promise<boolean>): Promise<void> {
  for (let at = 1; await scenario(at); at++);
}
