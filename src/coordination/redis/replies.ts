/** Reads what Redis answers. What has another form than was asked for is as good as no answer. */
import { CoordinatorError, type LiveState, type Sample } from "../coordinator.ts";

/** @throws CoordinatorError */
export function number(reply: unknown): number {
  if (typeof reply !== "number") throw unexpected();
  return reply;
}

/** Of names and documents in turn. @throws CoordinatorError */
export function states(reply: unknown): LiveState[] {
  const texts = list(reply).map(text);
  const found: LiveState[] = [];
  for (let at = 0; at + 1 < texts.length; at += 2) {
    found.push({ name: texts[at] ?? "", document: json(texts[at + 1] ?? "") });
  }
  return found;
}

/** Of the entries of a stream: `[id, [field, value]]`, the id beginning with milliseconds. @throws CoordinatorError */
export function samples(reply: unknown): Sample[] {
  return list(reply).map((entry) => {
    const [id, fields] = list(entry);
    const atMs = Number(text(id).split("-")[0]);
    return { atMs, sample: json(text(list(fields)[1])) };
  });
}

function list(reply: unknown): unknown[] {
  if (!Array.isArray(reply)) throw unexpected();
  return reply;
}

function text(reply: unknown): string {
  if (typeof reply !== "string") throw unexpected();
  return reply;
}

function json(written: string): unknown {
  try {
    return JSON.parse(written);
  } catch {
    throw unexpected();
  }
}

function unexpected(): CoordinatorError {
  return new CoordinatorError("unavailable", "the coordinator gave an answer that cannot be read");
}
