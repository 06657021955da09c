/** `bulkhead domains add|set|remove`. */
import { API_PATHS, domainsSchema } from "../admin/api-types.ts";
import type { AdminClient } from "./admin-client.ts";
import { formatDomains, type Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { given, wholeNumber, yesOrNo } from "./option-values.ts";

export interface DomainOptions {
  readonly role?: string;
  readonly minNodes?: string;
  readonly replicaCount?: string;
  readonly acceptsWrites?: string;
  readonly priority?: string;
}

/** @throws CliError */
export async function addDomain(admin: AdminClient, name: string, options: DomainOptions): Promise<Output> {
  const settings = { name, ...given({ role: options.role }), ...settingsOf(options) };
  const answer = await admin.post(API_PATHS.domains, domainsSchema, settings);
  return { json: answer, text: formatDomains(answer) };
}

/** @throws CliError */
export async function setDomain(admin: AdminClient, name: string, options: DomainOptions): Promise<Output> {
  const settings = settingsOf(options);
  if (Object.keys(settings).length === 0) {
    throw new CliError(EXIT.usage, "say what is to be changed: --accepts-writes, --min-nodes, --replica-count, ...");
  }
  const answer = await admin.patch(`${API_PATHS.domains}/${encodeURIComponent(name)}`, domainsSchema, settings);
  return { json: answer, text: formatDomains(answer) };
}

/** @throws CliError */
export async function removeDomain(admin: AdminClient, name: string): Promise<Output> {
  const answer = await admin.delete(`${API_PATHS.domains}/${encodeURIComponent(name)}`, domainsSchema);
  return { json: answer, text: formatDomains(answer) };
}

function settingsOf({ minNodes, replicaCount, acceptsWrites, priority }: DomainOptions): Record<string, unknown> {
  return given({
    min_nodes: minNodes === undefined ? undefined : wholeNumber("--min-nodes", minNodes),
    replica_count: replicaCount === undefined ? undefined : wholeNumber("--replica-count", replicaCount),
    accepts_writes: acceptsWrites === undefined ? undefined : yesOrNo("--accepts-writes", acceptsWrites),
    priority: priority === undefined ? undefined : wholeNumber("--priority", priority),
  });
}
