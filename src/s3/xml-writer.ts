/**
 * Writes the XML of S3 answers: elements one after the other into one string, no tree.
 *
 * Keys may hold any character, and XML 1.0 cannot carry them all. S3 writes those as character references all the
 * same (`&#x1;`), and a carriage return always as one, because a reader would turn a bare one into a line feed.
 * Clients that cannot read such references ask for `encoding-type=url`.
 */
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** Namespace of S3's documents. */
export const S3_XML_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

export class XmlWriter {
  #text = DECLARATION;
  readonly #open: string[] = [];

  /** Begins an element that holds others. Names are ours and are not escaped; attribute values are. */
  open(name: string, attributes?: Readonly<Record<string, string>>): this {
    this.#text += `<${name}`;
    for (const [key, value] of Object.entries(attributes ?? {})) this.#text += ` ${key}="${escapeXml(value)}"`;
    this.#text += ">";
    this.#open.push(name);
    return this;
  }

  /** Ends the innermost element that is open. */
  close(): this {
    this.#text += `</${this.#open.pop()}>`;
    return this;
  }

  /** An element that holds text. Nothing is written for `undefined`; an empty string makes an empty element. */
  element(name: string, value: string | number | boolean | undefined): this {
    if (value === undefined) return this;
    const text = typeof value === "string" ? escapeXml(value) : String(value);
    this.#text += text === "" ? `<${name}/>` : `<${name}>${text}</${name}>`;
    return this;
  }

  /** Text of the element that is open. */
  text(value: string): this {
    this.#text += escapeXml(value);
    return this;
  }

  /** The document. Whatever is still open is closed. */
  toString(): string {
    while (this.#open.length > 0) this.close();
    return this.#text;
  }
}

// All control characters, though XML 1.0 takes the upper ones bare: they are invisible in a log or a terminal.
const ESCAPED = /[&<>"\p{Cc}\ufffe\uffff]/u;
const ESCAPED_ALL = new RegExp(ESCAPED, "gu");

/** Text as it stands in an element or in an attribute between double quotes. */
export function escapeXml(text: string): string {
  return ESCAPED.test(text) ? text.replace(ESCAPED_ALL, reference) : text;
}

function reference(character: string): string {
  switch (character) {
    case "&":
      return "&amp;";
    case "<":
      return "&lt;";
    case ">":
      return "&gt;";
    case '"':
      return "&quot;";
    default:
      return `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`;
  }
}
