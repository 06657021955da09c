/** The commands that change nodes, domains and live settings: what can be typed, and who does it. */
import type { Command } from "commander";
import type { AdminClient } from "./admin-client.ts";
import type { Output } from "./commands.ts";
import { type LiveOptions, reloadConfiguration, setLiveSettings, showLiveSettings } from "./config-commands.ts";
import { addDomain, type DomainOptions, removeDomain, setDomain } from "./domain-commands.ts";
import { withLimitOptions } from "./limit-options.ts";
import {
  addNode,
  enableNode,
  type KeySources,
  type NewNodeOptions,
  type NodeOptions,
  removeNode,
  setNode,
} from "./node-commands.ts";

/** Makes a command ask the admin API and print what it says. */
export type Asking = (
  command: Command,
  show: (admin: AdminClient, args: readonly string[]) => Promise<Output>,
) => Command;

export function addTopologyCommands(
  groups: { readonly nodes: Command; readonly domains: Command; readonly config: Command },
  asking: Asking,
  sources: KeySources,
): void {
  addNodeCommands(groups.nodes, asking, sources);
  addDomainCommands(groups.domains, asking);
  addConfigCommands(groups.config, asking);
}

function addNodeCommands(nodes: Command, asking: Asking, sources: KeySources): void {
  const add = asking(nodes.command("add <name>").description("add a node, without a restart"), (admin, [name = ""]) =>
    addNode(admin, name, add.opts<NewNodeOptions>(), sources),
  );
  withKeys(add)
    .option("--endpoint <url>", "http://... or https://... of an S3 endpoint, or volume:PATH")
    .option("--domain <name>", "fault domain that it stands in")
    .option("--bucket <name>", "bucket on it (default: its name)")
    .option("--region <name>", "region that requests are signed for")
    .option("--ca-file <file>", "PEM file of its certificate's authority, on the gateway")
    .option("--external-endpoint <url>", "endpoint that URLs of it are signed for")
    .option("--weight <number>", "share of its domain's ring, 100 is usual")
    .option("--physical-storage-id <text>", "two copies never share one (default: its name)")
    .option("--host <name>", "two copies share none where there are several")
    .option("--rack <name>", "rack, for display")
    .option("--disk-type <type>", "ssd, hdd, nvme or unknown")
    .option("--metrics-path <path>", "where its metrics are scraped")
    .option("--index-path <path>", "folder of a volume's index")
    .option("--disabled", "takes no copies until it is enabled");
  const set = asking(
    nodes.command("set <name>").description("change a node, without a restart"),
    (admin, [name = ""]) => setNode(admin, name, set.opts<NodeOptions>(), sources),
  );
  withKeys(set)
    .option("--weight <number>", "share of its domain's ring, 100 is usual; 0 takes no new copies")
    .option("--accepts-writes <yes|no>", "whether it takes new copies")
    .option("--domain <name>", "fault domain that it is moved to; only where no copy is on it")
    .option("--rack <name>", "rack, for display")
    .option("--disk-type <type>", "ssd, hdd, nvme or unknown");
  asking(
    nodes.command("disable <name>").description("let a node take no new copies; it is read on"),
    (admin, [name = ""]) => enableNode(admin, name, false),
  );
  asking(nodes.command("enable <name>").description("let a node take new copies"), (admin, [name = ""]) =>
    enableNode(admin, name, true),
  );
  const remove = asking(
    nodes.command("remove <name>").description("take a node out that has no copies"),
    (admin, [name = ""]) => removeNode(admin, name, remove.opts<{ readonly lost?: boolean }>()),
  );
  remove.option("--lost", "it is gone for good: its copies are made anew from others");
}

function addDomainCommands(domains: Command, asking: Asking): void {
  const add = asking(
    domains.command("add <name>").description("add a fault domain, without a restart"),
    (admin, [name = ""]) => addDomain(admin, name, add.opts<DomainOptions>()),
  );
  withDomainSettings(add).option("--role <active|standby>", "standby: supplies stand-ins only");
  const set = asking(
    domains.command("set <name>").description("change a fault domain, without a restart"),
    (admin, [name = ""]) => setDomain(admin, name, set.opts<DomainOptions>()),
  );
  withDomainSettings(set);
  asking(
    domains.command("remove <name>").description("take a fault domain out that has no nodes"),
    (admin, [name = ""]) => removeDomain(admin, name),
  );
}

function addConfigCommands(config: Command, asking: Asking): void {
  asking(config.command("get").description("the settings that are changed while the cluster serves"), showLiveSettings);
  const set = asking(config.command("set").description("change them, without a restart"), (admin) =>
    setLiveSettings(admin, set.opts<LiveOptions>()),
  );
  withLimitOptions(set)
    .option("--factor <number>", "domains that hold a copy of what is written from now on")
    .option("--quorum <number|auto|majority|all>", "domains that must have a copy before a write is acknowledged")
    .option("--domain-choice <hash|priority>", "which domains, where there are more than the factor")
    .option("--degraded-write <yes|no>", "acknowledge below quorum while the other domains are away")
    .option("--min-replicas <number>", "least copies then")
    .option("--handoff <any|active|none>", "where hand-off copies go")
    .option("--virtual-nodes-per-node <number>", "virtual nodes of a node with weight 100")
    .option("--if-version <number>", "only while the settings have this version");
  asking(config.command("reload").description("have the gateway read its configuration again"), reloadConfiguration);
}

function withKeys(command: Command): Command {
  return command
    .option("--access-key <key>", "access key (default: BULKHEAD_NODE_ACCESS_KEY)")
    .option("--secret-key-file <file>", "file with the secret key (default: BULKHEAD_NODE_SECRET_KEY)");
}

function withDomainSettings(command: Command): Command {
  return command
    .option("--accepts-writes <yes|no>", "whether it takes planned copies and counts for the factor")
    .option("--min-nodes <number>", "healthy nodes below which a standby node is promoted")
    .option("--replica-count <number>", "copies inside the domain")
    .option("--priority <number>", "its place among the active domains, 0 first");
}
