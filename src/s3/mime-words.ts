/**
 * Encoded words (RFC 2047): how text beyond ASCII stands in a header, and how S3 gives such metadata back.
 */
import { isUtf8 } from "node:buffer";

const WORD = /^=\?(?<charset>[\w-]+)(?:\*[\w-]+)?\?(?<encoding>[BbQq])\?(?<text>[^?\s]*)\?=$/;

/** Bytes of a word, so that it stays within 75 characters (RFC 2047, 2): `=?UTF-8?B?` + 60 + `?=`. */
const WORD_BYTES = 45;

/** The text of a header with its encoded words decoded; those that cannot be are left as they are. */
export function decodeEncodedWords(value: string): string {
  if (!value.includes("=?")) return value;
  let text = "";
  let space = "";
  let afterWord = false;
  for (const token of value.split(/([ \t]+)/)) {
    if (/^[ \t]+$/.test(token)) {
      space = token;
      continue;
    }
    const decoded = decodeWord(token);
    // White space between two encoded words only separates them.
    if (!(afterWord && decoded !== undefined)) text += space;
    text += decoded ?? token;
    afterWord = decoded !== undefined;
    space = "";
  }
  return text + space;
}

/** The text as it can stand in a header: itself if it is printable ASCII, else as encoded words. */
export function encodeWords(value: string): string {
  if (/^[\t\u0020-\u007e]*$/.test(value) && !value.includes("=?") && value === value.trim()) return value;
  const words: string[] = [];
  let word = "";
  for (const character of value) {
    if (Buffer.byteLength(word) + Buffer.byteLength(character) > WORD_BYTES) {
      words.push(word);
      word = "";
    }
    word += character;
  }
  words.push(word);
  return words.map((part) => `=?UTF-8?B?${Buffer.from(part).toString("base64")}?=`).join(" ");
}

function decodeWord(token: string): string | undefined {
  const word = WORD.exec(token)?.groups;
  if (word === undefined) return undefined;
  const text = word["text"] ?? "";
  const bytes = word["encoding"]?.toUpperCase() === "B" ? Buffer.from(text, "base64") : decodeQ(text);
  switch (word["charset"]?.toLowerCase()) {
    case "utf-8":
    case "us-ascii":
      return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
    case "iso-8859-1":
      return bytes.toString("latin1");
    default:
      return undefined;
  }
}

function decodeQ(text: string): Buffer {
  const latin1 = text
    .replaceAll("_", " ")
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, "latin1");
}
