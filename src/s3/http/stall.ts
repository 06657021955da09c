import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * Calls `fire` when no byte passed over the connection for that long. Node.js's own timer of the socket is used and no
 * Clock: only that one sees the bytes of one long write leave one after the other.
 * @returns ends it; to be called
 */
export function onStall(
  message: IncomingMessage | ServerResponse,
  stallTimeoutMs: number,
  fire: () => void,
): () => void {
  const { socket } = message;
  message.on("timeout", fire);
  socket?.setTimeout(stallTimeoutMs);
  return () => {
    message.off("timeout", fire);
    socket?.setTimeout(0);
  };
}
