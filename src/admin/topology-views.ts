/** What the admin API changes of nodes, domains and live settings, and what it tells then. */
import * as z from "zod";
import { policyHistoryKey } from "../catalog/keys.ts";
import type { DomainSettings } from "../cluster/change-domains.ts";
import type { NodeSettings } from "../cluster/change-nodes.ts";
import type { PolicySettings } from "../cluster/change-policy.ts";
import { decodePolicyHistory } from "../cluster/policy-history.ts";
import { TopologyChangeError } from "../cluster/topology-change-error.ts";
import { writableDomains } from "../placement/topology-rules.ts";
import { Secret } from "../shared/secret.ts";
import type { Domains, Workers } from "./api-types.ts";
import { type AdminContext, domains, workers } from "./cluster-views.ts";
import { limitsChange, limitsOf } from "./limit-types.ts";
import { ApiError } from "./problem.ts";
import type { TopologyControl } from "./topology-control.ts";
import {
  type DomainSettingsRequest,
  domainSettingsSchema,
  type LiveSettings,
  type LiveSettingsChange,
  liveSettingsChangeSchema,
  type NewNodeRequest,
  type NodeSettingsRequest,
  newDomainSchema,
  newNodeSchema,
  nodeSettingsSchema,
  type Reload,
  type Removed,
} from "./topology-types.ts";

export interface TopologyContext extends AdminContext {
  readonly topologyControl: TopologyControl;
}

/** Adds a node and tells how it is, its first check done or not. @throws ApiError */
export async function addNode(context: TopologyContext, body: unknown): Promise<Workers> {
  const request = read(newNodeSchema, body);
  await made(context.topologyControl.addNode(settingsOfFile(request)));
  return nodeView(context, request.name);
}

/**
 * Changes a node, for this process at once and for all within an interval. @returns the node
 * @throws ApiError when the request is malformed, names no node or cannot be
 */
export async function changeNode(context: TopologyContext, name: string, body: unknown): Promise<Workers> {
  const request = read(nodeSettingsSchema, body);
  const settings = nodeSettings(request);
  const { access_key: accessKey, secret_key: secretKey } = request;
  if (Object.keys(settings).length > 0) await made(context.topologyControl.setNode(name, settings));
  if (accessKey !== undefined && secretKey !== undefined) {
    await made(context.topologyControl.setNodeKeys(name, { accessKey, secretKey: new Secret(secretKey) }));
  }
  return nodeView(context, name);
}

/** @param lost text of the query parameter @throws ApiError */
export async function removeNode(context: TopologyContext, name: string, lost: unknown): Promise<Removed> {
  if (lost !== undefined && lost !== "true" && lost !== "false") {
    throw new ApiError(400, "Bad Request", "lost must be true or false");
  }
  await made(context.topologyControl.removeNode(name, { lost: lost === "true" }));
  return { removed: name, copies_on_record: context.members().topology.nodes.some((node) => node.name === name) };
}

/** @throws ApiError */
export async function addDomain(context: TopologyContext, body: unknown): Promise<Domains> {
  const { name, role, ...settings } = read(newDomainSchema, body);
  const given = { ...domainSettings(settings), ...(role === undefined ? {} : { role }) };
  await made(context.topologyControl.addDomain(name, given));
  return domains(context);
}

/** @throws ApiError */
export async function changeDomain(context: TopologyContext, name: string, body: unknown): Promise<Domains> {
  await made(context.topologyControl.setDomain(name, domainSettings(read(domainSettingsSchema, body))));
  return domains(context);
}

/** @throws ApiError */
export async function removeDomain(context: TopologyContext, name: string): Promise<Domains> {
  await made(context.topologyControl.removeDomain(name));
  return domains(context);
}

/** Settings that are changed while the cluster serves. @throws CatalogError */
export async function liveSettings({ catalog, members, topologyControl }: TopologyContext): Promise<LiveSettings> {
  const { epoch, domains: all, replication, virtualNodesPerNode } = members().topology;
  const { factor, quorum, domainChoice, degradedWrite } = replication;
  const history = await catalog.kv.get(policyHistoryKey());
  return {
    version: epoch,
    replication: { factor, quorum, domain_choice: domainChoice },
    degraded_write: {
      enabled: degradedWrite.enabled,
      min_replicas: degradedWrite.minReplicas,
      handoff: degradedWrite.handoff,
    },
    virtual_nodes_per_node: virtualNodesPerNode,
    limits: limitsOf(topologyControl.limits()),
    domains_that_accept_writes: writableDomains(all),
    previous_factors: (history === undefined ? [] : decodePolicyHistory(history.value)).map((past) => ({
      factor: past.factor,
      until: new Date(past.untilMs).toISOString(),
    })),
  };
}

/** @throws ApiError */
export async function changeLiveSettings(context: TopologyContext, body: unknown): Promise<LiveSettings> {
  const request = read(liveSettingsChangeSchema, body);
  await made(context.topologyControl.setPolicy(policySettings(request), request.version));
  return liveSettings(context);
}

/** @throws ApiError */
export async function reload(context: TopologyContext): Promise<Reload> {
  const { changed, needsRestart } = await made(context.topologyControl.reload());
  return { changed, needs_restart: [...needsRestart], version: context.members().topology.epoch };
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const request = schema.safeParse(body);
  if (!request.success) throw new ApiError(400, "Bad Request", z.prettifyError(request.error));
  return request.data;
}

async function made<T>(change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (!(error instanceof TopologyChangeError)) throw error;
    throw error.kind === "unknown"
      ? new ApiError(404, "Not Found", error.message)
      : new ApiError(409, "Conflict", error.message);
  }
}

async function nodeView(context: TopologyContext, name: string): Promise<Workers> {
  const all = await workers(context);
  return { workers: all.workers.filter((worker) => worker.name === name) };
}

function nodeSettings(request: NodeSettingsRequest): NodeSettings {
  const { weight, accepts_writes: acceptsWrites = request.enabled, domain, rack, disk_type: diskType } = request;
  return given({ weight, acceptsWrites, domain, rack, diskType });
}

function domainSettings(request: DomainSettingsRequest): DomainSettings {
  const { min_nodes: minNodes, replica_count: replicaCount, accepts_writes: acceptsWrites, priority } = request;
  return given({ minNodes, replicaCount, acceptsWrites, priority });
}

function policySettings({ replication = {}, degraded_write: degraded, ...rest }: LiveSettingsChange): PolicySettings {
  const { factor, quorum, domain_choice: domainChoice } = replication;
  const { enabled, min_replicas: minReplicas, handoff } = degraded ?? {};
  const degradedWrite = degraded === undefined ? undefined : given({ enabled, minReplicas, handoff });
  const { virtual_nodes_per_node: virtualNodesPerNode } = rest;
  const limits = rest.limits && limitsChange(rest.limits);
  return given({ factor, quorum, domainChoice, degradedWrite, virtualNodesPerNode, limits });
}

/** As the configuration file names them: in camel case, and the domain as the fault domain. */
function settingsOfFile({ domain, ...settings }: NewNodeRequest): Record<string, unknown> {
  const camel = (key: string): string => key.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return {
    ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [camel(key), value])),
    faultDomain: domain,
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what is undefined: an absent setting stays as it is. */
function given<T extends object>(settings: T): Given<T> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Given<T>;
}
