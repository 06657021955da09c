/** The command line of a gateway under test. Black-box: nothing here imports src/. */
import { join } from "node:path";
import { BULKHEAD, type Gateway } from "./gateway.ts";
import { succeed } from "./programs.ts";

/** Runs a command that has to succeed, and returns what it printed without the newline at its end. */
export async function bulkhead(gateway: Gateway, ...args: string[]): Promise<string> {
  const env = {
    BULKHEAD_ADMIN_URL: gateway.adminUrl,
    BULKHEAD_ADMIN_API_KEY_FILE: join(gateway.dataDir, "keys/admin-api-key"),
  };
  return (await succeed("sh", [BULKHEAD, ...args], { env })).trimEnd();
}
