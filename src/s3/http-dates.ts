/**
 * Dates as S3 speaks them: HTTP dates in headers, ISO 8601 basic in signatures, ISO 8601 extended in XML. All are UTC;
 * in the program they are milliseconds since the Unix epoch. Nothing is guessed: what is not exactly of a form is no
 * date (`Date.parse` would take almost anything).
 * RFC 9110, 5.6.7; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

/**
 * An HTTP date: IMF-fixdate, or one of the two obsolete forms that a recipient must take. A year of two digits is the
 * one that lies less than 50 years ahead of `nowMs`.
 * @returns `undefined` where the text is no such date
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  const imf = IMF_FIXDATE.exec(text)?.groups;
  if (imf !== undefined) return fromParts(imf, Number(imf["year"]));
  const asctime = ASCTIME.exec(text)?.groups;
  if (asctime !== undefined) return fromParts(asctime, Number(asctime["year"]));
  const rfc850 = RFC_850.exec(text)?.groups;
  if (rfc850 === undefined) return undefined;
  const nowYear = new Date(nowMs).getUTCFullYear();
  const year = nowYear - (nowYear % 100) + Number(rfc850["year"]);
  return fromParts(rfc850, year > nowYear + 50 ? year - 100 : year);
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`, down to the second. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/**
 * The date of a signature, `19941106T084937Z`.
 * @returns `undefined` where the text is no such date
 */
export function parseAmzDate(text: string): number | undefined {
  const parts = AMZ_DATE.exec(text)?.groups;
  return parts === undefined ? undefined : fromParts(parts, Number(parts["year"]));
}

/** `19941106T084937Z`, down to the second. */
export function formatAmzDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** `1994-11-06T08:49:37.000Z`, as XML answers have it. */
export function formatIsoDate(ms: number): string {
  return new Date(ms).toISOString();
}

const DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAYS = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";

/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const IMF_FIXDATE = new RegExp(`^${DAYS}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`);
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const RFC_850 = new RegExp(`^${LONG_DAYS}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`);
/** `Sun Nov  6 08:49:37 1994` */
const ASCTIME = new RegExp(`^${DAYS} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`);
const AMZ_DATE = /^(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)T(?<hour>\d\d)(?<minute>\d\d)(?<second>\d\d)Z$/;

/** Refuses a 31 April and an hour 24, which `Date.UTC` would carry over. The weekday is not compared. */
function fromParts(parts: Readonly<Record<string, string>>, year: number): number | undefined {
  const name = parts["month"] ?? "";
  const month = MONTHS.indexOf(name) >= 0 ? MONTHS.indexOf(name) : Number(name) - 1;
  const [day, hour, minute, second] = ["day", "hour", "minute", "second"].map((part) => Number(parts[part]));
  if (day === undefined || hour === undefined || minute === undefined || second === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  date.setUTCHours(hour, minute, second);
  return date.getUTCMonth() === month && date.getUTCDate() === day ? date.getTime() : undefined;
}
