import { access, constants } from "node:fs/promises";
import { makeFolder } from "../shared/make-folder.ts";
import { lockFolder } from "../shared/process-lock.ts";

/** Causes of a failed start that are told, the outermost first. */
const REASONS_MAX = 4;

/** What was asked for cannot be done for a reason that its operator can mend; the message says which. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StartError";
  }
}

/** Makes the data folder where it is absent, and keeps every other process away from it. @throws StartError */
export async function claimDataFolder(dataDir: string): Promise<AsyncDisposable> {
  await startStep(`server.dataDir: the data folder ${dataDir} cannot be used`, async () => {
    await makeFolder(dataDir, 0o700);
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  });
  return startStep(`server.dataDir: the data folder ${dataDir} cannot be claimed`, () => lockFolder(dataDir));
}

/** Says, when a step fails, which one it was. @throws StartError */
export async function startStep<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new StartError(`${what}: ${reasons(error).join(": ")}`, { cause: error });
  }
}

/** The messages of an error and of what caused it, each once. */
function reasons(error: unknown): string[] {
  const found: string[] = [];
  for (let at: unknown = error; at instanceof Error && found.length < REASONS_MAX; at = at.cause) {
    if (!found.includes(at.message)) found.push(at.message);
  }
  return found.length === 0 ? ["unknown error"] : found;
}
