import { once } from "node:events";
import { createServer } from "node:net";

/** Ports on 127.0.0.1 that nobody listened on a moment ago, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  try {
    return await Promise.all(
      servers.map(async (server) => {
        await once(server, "listening");
        const address = server.address();
        if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
        return address.port;
      }),
    );
  } finally {
    for (const server of servers) server.close();
  }
}
