import { NodeError } from "../storage-node.ts";

/** A call that a wrapper turned away before it reached the node: asking again at once would only be turned away again. */
export class NotAskedError extends NodeError {
  constructor(message: string, options?: ErrorOptions) {
    super("busy", message, options);
    this.name = "NotAskedError";
  }
}
