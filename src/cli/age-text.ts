/** Spans of time as people say them: `40 s`, `12 min`, `5 h`, `3 d`, `2 y`. Rounded down. */
const UNITS = [
  ["y", 365.25 * 86_400],
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
] as const;

export function formatSpan(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${Math.floor(Math.max(0, seconds) / size)} ${unit}`;
}

/** Since a time of the API's; a hyphen for none. */
export function formatSince(time: string | null, nowMs: number): string {
  return time === null ? "-" : formatSpan((nowMs - Date.parse(time)) / 1000);
}

/** Text from elsewhere (keys, reasons) that a terminal takes for nothing but text. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
