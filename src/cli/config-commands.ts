/** `bulkhead config get|set|reload`: the settings that are changed while the cluster serves. */
import { API_PATHS } from "../admin/api-types.ts";
import { type LiveSettings, liveSettingsSchema, reloadSchema } from "../admin/topology-types.ts";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { type LimitOptions, limitFields, limitsOf } from "./limit-options.ts";
import { given, wholeNumber, yesOrNo } from "./option-values.ts";
import { formatFields } from "./text.ts";

export interface LiveOptions extends LimitOptions {
  readonly factor?: string;
  readonly quorum?: string;
  readonly domainChoice?: string;
  readonly degradedWrite?: string;
  readonly minReplicas?: string;
  readonly handoff?: string;
  readonly virtualNodesPerNode?: string;
  readonly ifVersion?: string;
}

/** @throws CliError */
export async function showLiveSettings(admin: AdminClient): Promise<Output> {
  return output(await admin.get(API_PATHS.config, liveSettingsSchema));
}

/** @throws CliError */
export async function setLiveSettings(admin: AdminClient, options: LiveOptions): Promise<Output> {
  const { factor, quorum, degradedWrite, minReplicas, virtualNodesPerNode, ifVersion } = options;
  const replication = given({
    factor: factor === undefined ? undefined : wholeNumber("--factor", factor),
    quorum: quorum !== undefined && /^\d+$/.test(quorum) ? Number(quorum) : quorum,
    domain_choice: options.domainChoice,
  });
  const degraded = given({
    enabled: degradedWrite === undefined ? undefined : yesOrNo("--degraded-write", degradedWrite),
    min_replicas: minReplicas === undefined ? undefined : wholeNumber("--min-replicas", minReplicas),
    handoff: options.handoff,
  });
  const settings = {
    ...(Object.keys(replication).length === 0 ? {} : { replication }),
    ...(Object.keys(degraded).length === 0 ? {} : { degraded_write: degraded }),
    ...given({
      virtual_nodes_per_node:
        virtualNodesPerNode === undefined ? undefined : wholeNumber("--virtual-nodes-per-node", virtualNodesPerNode),
      limits: limitsOf(options),
    }),
  };
  if (Object.keys(settings).length === 0) {
    throw new CliError(EXIT.usage, "say what is to be changed: --factor, --quorum, --repair-rate, ...");
  }
  const version = given({ version: ifVersion === undefined ? undefined : wholeNumber("--if-version", ifVersion) });
  return output(await admin.put(API_PATHS.config, liveSettingsSchema, { ...settings, ...version }));
}

/** @throws CliError */
export async function reloadConfiguration(admin: AdminClient): Promise<Output> {
  const answer = await admin.post(API_PATHS.reload, reloadSchema, {});
  const later =
    answer.needs_restart.length === 0 ? "" : `Taken over at the next start: ${answer.needs_restart.join(", ")}.\n`;
  const text = answer.changed ? "The topology was changed" : "The topology is as it was";
  return { json: answer, text: `${text}; its version is ${answer.version}.\n${later}` };
}

function output(settings: LiveSettings): Output {
  const { version, replication, degraded_write: degraded, previous_factors: past } = settings;
  const handoff = `at least ${degraded.min_replicas}, hand-off ${degraded.handoff}`;
  const text = formatFields([
    ["Version", String(version)],
    ["Factor", `${replication.factor} of ${settings.domains_that_accept_writes} domains that accept writes`],
    ["Quorum", String(replication.quorum)],
    ["Domain choice", replication.domain_choice],
    ["Degraded writes", degraded.enabled ? handoff : "no"],
    ["Virtual nodes", String(settings.virtual_nodes_per_node)],
    ...limitFields(settings),
  ]);
  const earlier = past.map(
    ({ factor, until }) => `What was written before ${until} was planned with factor ${factor}.\n`,
  );
  return { json: settings, text: text + earlier.join("") };
}
