/**
 * Percent-encoding as S3 does it, in its three kinds. Never by `URL` or a router: they fold `//`, `.` and `..`, which
 * are parts of a key like any other.
 */
import { isUtf8 } from "node:buffer";
import { S3Error } from "./errors.ts";

/**
 * Decodes a piece of a path or of a query: `%XX` to its byte, `+` to a space, and the bytes as UTF-8. S3 takes `+` for
 * a space in paths too, which is why every client sends `%2B` for a plus sign.
 * @param raw as it came off the wire: one character a byte
 * @throws S3Error InvalidURI when a `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8
 */
export function decodeUrl(raw: string): string {
  if (PLAIN.test(raw)) return raw;
  const bytes = Buffer.from(raw, "latin1");
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === PERCENT) {
      const value = hexDigit(bytes[at + 1]) * 16 + hexDigit(bytes[at + 2]);
      if (Number.isNaN(value)) throw new S3Error("InvalidURI");
      bytes[length] = value;
      at += 2;
    } else {
      bytes[length] = byte === PLUS ? SPACE : byte;
    }
    length += 1;
  }
  const decoded = bytes.subarray(0, length);
  if (!isUtf8(decoded)) throw new S3Error("InvalidURI");
  return decoded.toString("utf8");
}

/**
 * `UriEncode` of Signature Version 4: every byte of UTF-8 as `%XX` in capitals, but for letters, digits and `-._~`.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function uriEncode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}

/** The same for a path, which keeps its slashes. */
export function uriEncodePath(path: string): string {
  if (UNRESERVED_PATH.test(path)) return path;
  return uriEncode(path).replaceAll("%2F", "/");
}

/**
 * The encoding of listings with `encoding-type=url`: as HTML forms do it, but slashes stay. A space is `+` and `~` is
 * `%7E` in S3's own answers, which clients decode accordingly.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function encodeForListing(text: string): string {
  if (UNRESERVED_LISTING.test(text)) return text;
  return encodeURIComponent(text)
    .replace(/[!'()~]/g, percent)
    .replaceAll("%20", "+")
    .replaceAll("%2F", "/");
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

/** What decodes to itself: printable ASCII but for `%` and `+`. */
const PLAIN = /^[ -$&-*,-~]*$/;
const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const UNRESERVED_PATH = /^[A-Za-z0-9\-._~/]*$/;
const UNRESERVED_LISTING = /^[A-Za-z0-9\-._*/]*$/;

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return Number.NaN;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}
