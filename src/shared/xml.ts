/**
 * A bounded XML reader over saxes: small documents from peers that may be wrong or hostile, read whole into a tree.
 *
 * Deliberate limits: no document type (so no entities of its own, no expansion), UTF-8 only, read by the rules of
 * XML 1.0 whatever version is declared. One liberty: references to characters that XML 1.0 forbids (`&#x1;`) are
 * taken, because S3 writes them in listings and takes them in keys.
 * https://www.w3.org/TR/xml/
 */
import { SaxesParser } from "saxes";

export interface XmlLimits {
  /** Longest document, in bytes of UTF-8. */
  readonly bytesMax: number;
  /** Deepest nesting; the root is at depth 1. */
  readonly depthMax: number;
  /** Most elements in all. */
  readonly elementsMax: number;
}

export interface XmlElement {
  /** Local name: the namespace prefix is stripped and the namespace itself is not looked at. */
  readonly name: string;
  /** By local name, without `xmlns` declarations. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The element's own text, CDATA included, its children's not; white space is kept. */
  readonly text: string;
}

/** Why a document was refused. The message holds nothing of the document. */
export class XmlError extends Error {
  readonly reason: "malformed" | "too-large" | "too-deep" | "too-many-elements" | "not-allowed";
  constructor(reason: XmlError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "XmlError";
    this.reason = reason;
  }
}

interface OpenElement extends XmlElement {
  readonly attributes: Map<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/**
 * Reads one whole document and returns its root element.
 * @throws XmlError
 */
export function parseXml(document: string | Uint8Array, limits: XmlLimits): XmlElement {
  const text = decode(document, limits);
  // Columns would count UTF-16 units and nobody is told them, so positions are not tracked.
  const parser = new SaxesParser({ xmlns: true, position: false, defaultXMLVersion: "1.0", forceXMLVersion: true });
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let elements = 0;

  parser.on("error", (cause) => {
    throw new XmlError("malformed", "the XML document is not well-formed", { cause });
  });
  parser.on("doctype", () => {
    throw new XmlError("not-allowed", "a document type is not allowed in the XML document");
  });
  parser.on("xmldecl", (declaration) => {
    if (declaration.encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(declaration.encoding)) {
      throw new XmlError("not-allowed", "the XML document must be in UTF-8");
    }
  });
  parser.on("opentagstart", () => {
    elements += 1;
    if (elements > limits.elementsMax)
      throw new XmlError("too-many-elements", "the XML document has too many elements");
    if (open.length >= limits.depthMax) throw new XmlError("too-deep", "the XML document is nested too deeply");
  });
  parser.on("opentag", (tag) => {
    const element: OpenElement = { name: tag.local, attributes: new Map(), children: [], text: "" };
    for (const attribute of Object.values(tag.attributes)) {
      if (attribute.prefix === "xmlns" || attribute.name === "xmlns") continue;
      if (element.attributes.has(attribute.local)) {
        throw new XmlError("malformed", "an element of the XML document has an attribute twice");
      }
      element.attributes.set(attribute.local, attribute.value);
    }
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
    open.push(element);
  });
  const addText = (piece: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += piece;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    open.pop();
  });

  const prepared = nameForbiddenReferences(text);
  Object.assign(parser.ENTITIES, prepared.entities);
  parser.write(prepared.text).close();
  if (root === undefined) throw new XmlError("malformed", "the XML document is empty");
  return root;
}

/** The first child of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** All children of that name, in document order. */
export function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** The text of the first child of that name, as it stands; `undefined` where there is no such child. */
export function childText(element: XmlElement, name: string): string | undefined {
  return childOf(element, name)?.text;
}

function decode(document: string | Uint8Array, limits: XmlLimits): string {
  const bytes = typeof document === "string" ? Buffer.byteLength(document) : document.byteLength;
  if (bytes > limits.bytesMax) throw new XmlError("too-large", "the XML document is too large");
  if (typeof document === "string") return document;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(document);
  } catch (cause) {
    throw new XmlError("malformed", "the XML document is not valid UTF-8", { cause });
  }
}

const REFERENCE = /&#(?:x([0-9a-fA-F]+)|([0-9]+));/g;

/**
 * saxes refuses references to characters outside XML 1.0, so those are rewritten to named entities that only this
 * document knows. A document with a CDATA section, where `&#x1;` is plain text, is left alone: there the reference
 * stays forbidden.
 */
function nameForbiddenReferences(text: string): { text: string; entities: Record<string, string> } {
  if (!text.includes("&#") || text.includes("<![CDATA[")) return { text, entities: {} };
  const entities: Record<string, string> = {};
  const rewritten = text.replace(REFERENCE, (reference, hex: string | undefined, decimal: string) => {
    const code = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    if (!isForbidden(code)) return reference;
    const name = `forbidden-${code}`;
    entities[name] = String.fromCodePoint(code);
    return `&${name};`;
  });
  return { text: rewritten, entities };
}

/** Characters that UTF-8 has and XML 1.0 has not. (Surrogates are neither's.) */
function isForbidden(code: number): boolean {
  return (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) || code === 0xfffe || code === 0xffff;
}
