/** Turns whatever was thrown into an Error, once, at the place that catches it. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("a value that is no Error was thrown", { cause: thrown });
}

/** The `code` of a Node.js system error (`ENOSPC`, `ECONNREFUSED`, ...), if it has one. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
