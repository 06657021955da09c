import { readdirSync, readFileSync } from "node:fs";

const SAMPLE_INTERVAL_MS = 50;

/** Anonymous memory of a process and all its descendants, in bytes: what is neither a file's nor shared with one. */
export function anonymousBytes(pid: number): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const candidate = Number(entry);
    if (Number.isInteger(candidate)) parents.set(candidate, parentOf(candidate));
  }
  const belongs = (candidate: number): boolean => {
    for (let at = candidate; at > 1; at = parents.get(at) ?? 0) if (at === pid) return true;
    return false;
  };
  return [...parents.keys()].filter(belongs).reduce((sum, member) => sum + rssAnonOf(member), 0);
}

/** Samples until disposed of; `peakBytes` is the largest sum seen. */
export function watchMemory(pid: number): Disposable & { readonly peakBytes: number } {
  let peakBytes = anonymousBytes(pid);
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, anonymousBytes(pid));
  }, SAMPLE_INTERVAL_MS);
  return {
    get peakBytes() {
      return peakBytes;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(statusOf(pid))?.[1] ?? 0);
}

function rssAnonOf(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(statusOf(pid))?.[1] ?? 0) * 1024;
}

/** Empty for a process that has just ended. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
