import { childText, type XmlElement } from "../../shared/xml.ts";

/** The key, or prefix, that a listing writes as `text`: encoded where the listing says so. */
export function listedKey(listing: XmlElement, text: string): string {
  return childText(listing, "EncodingType") === "url" ? decodeKey(text) : text;
}

/** A key of a listing in `encoding-type=url`; as it stands where it is no such thing, which no key of ours is. */
function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, " "));
  } catch {
    return text;
  }
}
