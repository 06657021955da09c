import { systemErrorCode } from "../../shared/errors.ts";
import { NodeError, type NodeErrorKind } from "../storage-node.ts";

const KINDS: Readonly<Record<string, NodeErrorKind>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "read-only",
  EACCES: "access-denied",
  EPERM: "access-denied",
  // The process is out of file descriptors or memory; neither says anything of the disk.
  EMFILE: "busy",
  ENFILE: "busy",
  ENOMEM: "busy",
};

/** The one place where errors of the file system become NodeErrors. What is not known to be something else is `io`. */
export function toNodeError(thrown: unknown, message: string): NodeError {
  if (thrown instanceof NodeError) return thrown;
  const code = systemErrorCode(thrown);
  const kind = (code === undefined ? undefined : KINDS[code]) ?? "io";
  return new NodeError(kind, code === undefined ? message : `${message} (${code})`, { cause: thrown });
}
