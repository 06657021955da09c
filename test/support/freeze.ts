import { readdir, readFile } from "node:fs/promises";
import { eventually } from "./eventually.ts";

/** A machine with more to do than it can takes a while to stop what runs on another core. */
const STOPPED_TIMEOUT_MS = 10_000;

/**
 * Stops a process with its connections open, until SIGCONT, and returns when none of its threads runs any more: the signal
 * alone only asks for it, and a server that was asked may still answer. Where there is no /proc, the signal has to do.
 */
export async function freezeProcess(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  if (process.platform !== "linux") return;
  await eventually(`process ${pid} stands still`, { timeoutMs: STOPPED_TIMEOUT_MS }, async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(threads.map((thread) => stateOf(`/proc/${pid}/task/${thread}/stat`)));
    const running = states.filter((state) => state !== "T");
    if (running.length > 0) throw new Error(`${running.length} of its threads are not stopped: ${running.join(" ")}`);
  });
}

/** The letter after the program's name, which is in parentheses and may have any character. */
async function stateOf(file: string): Promise<string> {
  const stat = await readFile(file, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}
