/** `bulkhead nodes add|remove|set|enable|disable`. */
import { API_PATHS, workersSchema } from "../admin/api-types.ts";
import { removedSchema } from "../admin/topology-types.ts";
import type { AdminClient } from "./admin-client.ts";
import { formatNodes, type Output } from "./commands.ts";
import { CliError, EXIT } from "./errors.ts";
import { given, wholeNumber, yesOrNo } from "./option-values.ts";

export interface NodeOptions {
  readonly weight?: string;
  readonly acceptsWrites?: string;
  readonly domain?: string;
  readonly rack?: string;
  readonly diskType?: string;
  readonly accessKey?: string;
  readonly secretKeyFile?: string;
}

export interface NewNodeOptions extends Omit<NodeOptions, "acceptsWrites"> {
  readonly endpoint?: string;
  readonly bucket?: string;
  readonly region?: string;
  readonly caFile?: string;
  readonly externalEndpoint?: string;
  readonly metricsPath?: string;
  readonly physicalStorageId?: string;
  readonly host?: string;
  readonly indexPath?: string;
  readonly disabled?: boolean;
}

/** Where the keys of a node are taken from, besides its options: none belongs on a command line that others can see. */
export interface KeySources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** @throws where it cannot be read */
  readonly readFile: (path: string) => string;
}

/** Adds a node; fails, with the node as it is, where its first check found that it cannot be used. @throws CliError */
export async function addNode(
  admin: AdminClient,
  name: string,
  options: NewNodeOptions,
  sources: KeySources,
): Promise<Output> {
  const { endpoint, domain, weight, disabled } = options;
  if (endpoint === undefined) throw new CliError(EXIT.usage, "say where the node is: --endpoint");
  if (domain === undefined) throw new CliError(EXIT.usage, "say where the node stands: --domain");
  const answer = await admin.post(API_PATHS.nodes, workersSchema, {
    name,
    endpoint,
    domain,
    ...given({
      bucket: options.bucket,
      region: options.region,
      ca_file: options.caFile,
      external_endpoint: options.externalEndpoint,
      metrics_path: options.metricsPath,
      physical_storage_id: options.physicalStorageId,
      host: options.host,
      rack: options.rack,
      disk_type: options.diskType,
      index_path: options.indexPath,
      weight: weight === undefined ? undefined : wholeNumber("--weight", weight),
      enabled: disabled === true ? false : undefined,
      ...(endpoint.startsWith("volume:") ? {} : keysOf(options, sources)),
    }),
  });
  return { json: answer, text: formatNodes(answer), failed: answer.workers.some(({ state }) => state !== "online") };
}

/** Sets what an operator may set of a node. @throws CliError */
export async function setNode(
  admin: AdminClient,
  name: string,
  options: NodeOptions,
  sources: KeySources,
): Promise<Output> {
  const { weight, acceptsWrites, domain, rack, diskType } = options;
  const wantsKeys = options.accessKey !== undefined || options.secretKeyFile !== undefined;
  const settings = given({
    weight: weight === undefined ? undefined : wholeNumber("--weight", weight),
    accepts_writes: acceptsWrites === undefined ? undefined : yesOrNo("--accepts-writes", acceptsWrites),
    domain,
    rack: rack === "" ? null : rack,
    disk_type: diskType,
    ...(wantsKeys ? keysOf(options, sources) : {}),
  });
  if (Object.keys(settings).length === 0) {
    throw new CliError(EXIT.usage, "say what is to be changed: --weight, --accepts-writes, --domain, --rack, ...");
  }
  return change(admin, name, settings);
}

/** Whether the node takes new copies. @throws CliError */
export function enableNode(admin: AdminClient, name: string, enabled: boolean): Promise<Output> {
  return change(admin, name, { enabled });
}

/** @throws CliError */
export async function removeNode(
  admin: AdminClient,
  name: string,
  { lost }: { readonly lost?: boolean },
): Promise<Output> {
  const path = `${API_PATHS.nodes}/${encodeURIComponent(name)}${lost === true ? "?lost=true" : ""}`;
  const answer = await admin.delete(path, removedSchema);
  const copies = answer.copies_on_record ? "; its copies are made anew from others" : "";
  return { json: answer, text: `Node ${name} is no member any more${copies}.\n` };
}

async function change(admin: AdminClient, name: string, settings: object): Promise<Output> {
  const answer = await admin.patch(`${API_PATHS.nodes}/${encodeURIComponent(name)}`, workersSchema, settings);
  return { json: answer, text: formatNodes(answer) };
}

function keysOf(
  { accessKey, secretKeyFile }: Pick<NodeOptions, "accessKey" | "secretKeyFile">,
  { env, readFile }: KeySources,
): { access_key: string | undefined; secret_key: string | undefined } {
  const fromEnvironment = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  return {
    access_key: accessKey ?? fromEnvironment("BULKHEAD_NODE_ACCESS_KEY"),
    secret_key:
      secretKeyFile === undefined ? fromEnvironment("BULKHEAD_NODE_SECRET_KEY") : readSecret(secretKeyFile, readFile),
  };
}

function readSecret(path: string, readFile: KeySources["readFile"]): string {
  try {
    return readFile(path);
  } catch {
    throw new CliError(EXIT.usage, `--secret-key-file: ${path} cannot be read`);
  }
}
