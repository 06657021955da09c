/**
 * Keeps a folder to one process at a time.
 *
 * The lock is one that the kernel gives to a process and takes back when the process ends, however it ends: nothing is
 * left behind by `kill -9`, and there is no moment in which two processes can both find a lock stale. Node.js has no
 * call for such locks, but the SQLite within it takes one (fcntl) around an exclusive transaction; the database file
 * stays empty. It also holds between containers that share the folder, where process ids and abstract sockets do not.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const LOCK_FILE = "process.lock";
/** Says who holds the lock, for the message to others. Never decides anything. */
const HOLDER_FILE = "process.lock.holder";
/** How long to keep trying: two processes that start at once may meet on the way to the lock, and one must get it. */
const LOCK_WAIT_MS = 100;
/** SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** Another process, or another part of this one, uses the folder. */
export class FolderLockedError extends Error {
  readonly folder: string;
  /** The process that holds the folder, as it is known on `host`; undefined when it has not said so. */
  readonly pid: number | undefined;
  constructor(folder: string, holder: Holder | undefined) {
    const who = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
    super(`the folder ${folder} is in use by ${who}`);
    this.name = "FolderLockedError";
    this.folder = folder;
    this.pid = holder?.pid;
  }
}

interface Holder {
  readonly pid: number;
  readonly host: string;
}

/**
 * Takes an existing folder for this process, until the answer is disposed of or the process ends. Hold on to the
 * answer: the lock may go when it is garbage-collected.
 * @throws FolderLockedError; Error when the lock file cannot be made or locked at all (with the cause).
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const holderPath = join(folder, HOLDER_FILE);
  const lock = openLock(folder);
  if (lock === undefined) throw new FolderLockedError(folder, await readHolder(holderPath));
  const holder: Holder = { pid: process.pid, host: hostname() };
  // A full disk must not keep a process from starting that could at least read.
  await writeFile(holderPath, JSON.stringify(holder)).catch(() => undefined);
  let held = true;
  return {
    async [Symbol.asyncDispose]() {
      if (!held) return;
      held = false;
      await rm(holderPath, { force: true }).catch(() => undefined);
      lock.close();
    },
  };
}

/** The open lock, or undefined when somebody else has it. */
function openLock(folder: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: LOCK_WAIT_MS });
    // Without a journal in memory, SQLite would put one beside the lock file.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if (isBusy(error)) return undefined;
    throw new Error(`the folder ${folder} cannot be locked`, { cause: error });
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const holder: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof holder !== "object" || holder === null || !("pid" in holder) || !("host" in holder)) return undefined;
    const { pid, host } = holder;
    return typeof pid === "number" && typeof host === "string" ? { pid, host } : undefined;
  } catch {
    return undefined;
  }
}
