import type { ObjectChecksum } from "../../objects/api.ts";
import { shownChecksum } from "../checksum-headers.ts";
import type { XmlWriter } from "../xml-writer.ts";

/** The checksum of an object or of a part, in the elements of an answer. */
export function writeChecksum(document: XmlWriter, checksum: ObjectChecksum | undefined, partCount?: number): void {
  if (checksum === undefined) return;
  document
    .element(`Checksum${checksum.algorithm}`, shownChecksum(checksum, partCount))
    .element("ChecksumType", checksum.type);
}
