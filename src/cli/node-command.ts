import { API_PATHS, workersSchema } from "../admin/api-types.ts";
import type { AdminClient } from "./admin-client.ts";
import { formatNodes, type Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";

export interface NodeOptions {
  readonly weight?: string;
  readonly acceptsWrites?: string;
}

/** Sets what an operator may set of a node. @throws CliError */
export async function setNode(admin: AdminClient, name: string, options: NodeOptions): Promise<Output> {
  const { weight, acceptsWrites } = options;
  if (weight === undefined && acceptsWrites === undefined) {
    throw new CliError(EXIT.usage, "say what is to be changed: --weight or --accepts-writes");
  }
  const answer = await admin.patch(`${API_PATHS.nodes}/${encodeURIComponent(name)}`, workersSchema, {
    ...(weight === undefined ? {} : { weight: weightOf(weight) }),
    ...(acceptsWrites === undefined ? {} : { accepts_writes: yesOrNo(acceptsWrites) }),
  });
  return { json: answer, text: formatNodes(answer) };
}

function weightOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new CliError(EXIT.usage, `--weight takes a whole number from 0 on, not ${text}`);
  return Number(text);
}

function yesOrNo(text: string): boolean {
  if (text !== "yes" && text !== "no") throw new CliError(EXIT.usage, `--accepts-writes takes yes or no, not ${text}`);
  return text === "yes";
}
