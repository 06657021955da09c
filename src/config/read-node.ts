/** One node as an operator adds it while the cluster serves, checked as the nodes of a file are. */
import type { TopologyDomain } from "../placement/topology.ts";
import { checkNodes } from "./check-nodes.ts";
import type { NodeConfig, NodeSecrets } from "./config.ts";
import { resolveNodeSecrets, resolveNodes } from "./resolve-nodes.ts";
import { type NodeSettings, nodeSettings } from "./schema/node-settings.ts";
import { type StorageSettings, storageSettings } from "./schema/storage-settings.ts";

export type ReadNode =
  | { readonly node: NodeConfig; readonly keys: NodeSecrets | undefined }
  /** Sentences that begin with a setting's name and hold no secret. */
  | { readonly problems: readonly string[] };

/**
 * @param written the settings of `storage.nodes[]`, in camel case
 * @param among the cluster that it is added to
 */
export function readNode(
  written: Readonly<Record<string, unknown>>,
  among: { readonly domains: readonly TopologyDomain[]; readonly nodes: readonly NodeConfig[] },
): ReadNode {
  const parsed = nodeSettings.safeParse(written);
  if (!parsed.success) {
    return {
      problems: parsed.error.issues.map((issue) =>
        issue.code === "unrecognized_keys"
          ? `${issue.keys.join(", ")} is no setting of a node`
          : `${issue.path.join(".")} ${issue.message}`,
      ),
    };
  }
  const storage = clusterWith(parsed.data, among);
  const index = among.nodes.length;
  const findings = checkNodes(storage, () => false).filter(({ path }) => path[1] === "nodes" && path[2] === index);
  if (findings.length > 0) {
    return { problems: findings.map(({ path, reason }) => `${String(path[3])} ${byNames(reason, among.nodes)}`) };
  }
  const alone = { ...storage, nodes: [parsed.data] };
  const [node] = resolveNodes(alone, "");
  if (node === undefined) throw new Error("a node that passed its checks was not resolved");
  return { node, keys: resolveNodeSecrets(alone).get(node.name) };
}

/** A reason that names nodes instead of their places in a file that has them not. */
function byNames(reason: string, nodes: readonly NodeConfig[]): string {
  return reason.replaceAll(/storage\.nodes\[(\d+)\]/g, (place, index) => {
    const name = nodes[Number(index)]?.name;
    return name === undefined ? place : `node ${name}`;
  });
}

/** The cluster as a file would have it, as far as the checks of a node look. */
function clusterWith(added: NodeSettings, { domains, nodes }: Parameters<typeof readNode>[1]): StorageSettings {
  const standbyDomain = domains.find(({ role }) => role === "standby")?.name;
  const settings = storageSettings.parse({
    activeDomains: domains.filter(({ role }) => role === "active").map(({ name }) => name),
    ...(standbyDomain === undefined ? {} : { standbyDomain }),
  });
  return { ...settings, nodes: [...nodes.map(settingsOf), added] };
}

function settingsOf(node: NodeConfig): NodeSettings {
  const { name, domain: faultDomain, weight, enabled, physicalStorageId, host, diskType } = node;
  const common = { name, faultDomain, weight, enabled, physicalStorageId, host, diskType };
  const unset = { region: "", metricsPath: "" };
  if (node.kind === "volume") return { ...common, ...unset, endpoint: { kind: "volume", path: node.path } };
  // Whether they have keys is not what is asked.
  const keys = { accessKey: "present", secretKey: "present" };
  return { ...common, ...unset, ...keys, endpoint: { kind: "s3", url: node.endpoint }, bucket: node.bucket };
}
