/** Values of options as people type them. */
import { CliError, EXIT } from "./errors.ts";

/** @throws CliError */
export function wholeNumber(option: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CliError(EXIT.usage, `${option} takes a whole number from 0 on, not ${text}`);
}

/** @throws CliError */
export function yesOrNo(option: string, text: string): boolean {
  if (text === "yes" || text === "no") return text === "yes";
  throw new CliError(EXIT.usage, `${option} takes yes or no, not ${text}`);
}

/** Without what is undefined: an absent setting stays as it is. */
export function given(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
