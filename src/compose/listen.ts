import { createServer, type Server } from "node:http";
import type { ListenAddress } from "../config/config.ts";
import type { Logger } from "../observability/logger.ts";
import type { Clock } from "../shared/clock.ts";

/** Starts listening. @returns the base URL; rejects with the system's error (EADDRINUSE, ...) */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  const actualPort = typeof address === "object" && address !== null ? address.port : port;
  return `http://${host.includes(":") ? `[${host}]` : host}:${actualPort}`;
}

/** Rejects with the system's error where the address cannot be listened on now. */
export async function requireFree(address: ListenAddress): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

/** Takes no new connections, lets requests under way end, and cuts what is left when the time is over. */
export async function stopServer(
  server: Server,
  how: { readonly drainTimeoutMs: number; readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = how.clock.startTimer(how.drainTimeoutMs, () => {
    how.logger.warn({ drainTimeoutMs: how.drainTimeoutMs }, "requests under way were cut");
    server.closeAllConnections();
  });
  await closed;
  timer.stop();
}
