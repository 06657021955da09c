/**
 * Request headers as they came, duplicates included: signatures cover every line, and user metadata joins them.
 */

/** Lower-case name -> its values in order of arrival, one a line, one character a byte. */
export type S3Headers = ReadonlyMap<string, readonly string[]>;

/** @param raw names and values by turns, as in Node.js's `rawHeaders` */
export function headersFromRaw(raw: readonly string[]): S3Headers {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? "").toLowerCase();
    const value = raw[at + 1] ?? "";
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

/** The value of a header, several lines joined by a comma (RFC 9110, 5.2); `undefined` where there is none. */
export function headerValue(headers: S3Headers, name: string): string | undefined {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  return values.length === 1 ? values[0] : values.join(",");
}
