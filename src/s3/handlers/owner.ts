import type { Principal } from "../../objects/api.ts";
import type { XmlWriter } from "../xml-writer.ts";

/** An Owner or an Initiator, as listings name them. */
export function writeOwner(document: XmlWriter, principal: Principal, element = "Owner"): void {
  document.open(element).element("ID", principal.id).element("DisplayName", principal.displayName).close();
}
