/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
import type { DeleteOutcome, DeleteTarget } from "../../objects/api.ts";
import { childrenOf, childText, type XmlElement } from "../../shared/xml.ts";
import type { BucketCall } from "../call.ts";
import { S3Error } from "../errors.ts";
import { bareEtag } from "../etags.ts";
import { type Answer, xmlAnswer } from "../http/answer.ts";
import { toS3Error } from "../object-errors.ts";
import { readXmlPayload } from "../xml-payload.ts";
import { S3_XML_NAMESPACE, XmlWriter } from "../xml-writer.ts";

export const DELETE_TARGETS_MAX = 1000;

/** Keys of 1,024 bytes that are all written as references take some 6 KiB each. */
const LIMITS = { bytesMax: 8 * 2 ** 20, depthMax: 4, elementsMax: 8 * DELETE_TARGETS_MAX };

export async function deleteObjects(call: BucketCall): Promise<Answer> {
  const { objects, bucket } = call;
  const root = await readXmlPayload(call, { root: "Delete", limits: LIMITS, digestRequired: true });
  if (root === undefined) throw new S3Error("MissingRequestBodyError");
  const listed = childrenOf(root, "Object");
  if (listed.length === 0 || listed.length > DELETE_TARGETS_MAX) throw new S3Error("MalformedXML");
  const quiet = childText(root, "Quiet")?.trim() === "true";
  const outcomes = await objects.deleteObjects({ bucket, targets: listed.map(readTarget) });
  const document = new XmlWriter().open("DeleteResult", { xmlns: S3_XML_NAMESPACE });
  for (const outcome of outcomes) writeOutcome(document, outcome, quiet);
  return xmlAnswer(document);
}

function readTarget(object: XmlElement): DeleteTarget {
  const key = childText(object, "Key");
  if (key === undefined || key === "") throw new S3Error("MalformedXML");
  const versionId = childText(object, "VersionId");
  const etag = childText(object, "ETag");
  // Conditions of directory buckets. To pass over one would delete what was to be kept.
  for (const name of ["LastModifiedTime", "Size"]) {
    if (childText(object, name) !== undefined) {
      throw new S3Error("NotImplemented", { message: `DeleteObjects with ${name} is not implemented.` });
    }
  }
  return {
    key,
    ...(versionId !== undefined && versionId !== "" && { versionId }),
    ...(etag !== undefined && { ifMatch: bareEtag(etag) }),
  };
}

function writeOutcome(document: XmlWriter, outcome: DeleteOutcome, quiet: boolean): void {
  const { key, versionId } = outcome.target;
  if (outcome.deleted) {
    if (quiet) return;
    document.open("Deleted").element("Key", key).element("VersionId", versionId).close();
    return;
  }
  const { code, message } = toS3Error(outcome.error, { conditional: outcome.target.ifMatch !== undefined });
  document
    .open("Error")
    .element("Key", key)
    .element("VersionId", versionId)
    .element("Code", code)
    .element("Message", message)
    .close();
}
