import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks of /proc/PID/stat: 100 a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process and its live descendants have used so far. */
export function cpuSeconds(pid: number): number {
  const stats = new Map<number, { parent: number; ticks: number }>();
  for (const entry of readdirSync("/proc")) {
    const candidate = Number(entry);
    const stat = Number.isInteger(candidate) ? readStat(candidate) : undefined;
    if (stat !== undefined) stats.set(candidate, stat);
  }
  let ticks = 0;
  for (const [candidate, stat] of stats) {
    for (let at: number | undefined = candidate; at !== undefined && at > 1; at = stats.get(at)?.parent) {
      if (at !== pid) continue;
      ticks += stat.ticks;
      break;
    }
  }
  return ticks / TICKS_PER_SECOND;
}

function readStat(pid: number): { parent: number; ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name, in parentheses, may hold anything; fields 3 and on follow its last one.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return undefined;
  }
}
