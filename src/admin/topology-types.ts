/** What the admin API is sent to change the cluster, and what it tells of its live settings. */
import * as z from "zod";
import { limitsChangeSchema, limitsSchema } from "./limit-types.ts";
import { accessKeyForm, countOf, DOMAIN_ROLES, NODE_DISK_TYPES, textOf } from "./topology-forms.ts";

const NODE_WEIGHT_MAX = 10_000;
const REPLICA_COUNT_MAX = 16;
const NODES_MAX = 1000;
const DOMAINS_MAX = 100;
const VIRTUAL_NODES_MAX = 10_000;

const name = (): z.ZodString => textOf(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
const storageId = (): z.ZodString => textOf(/^[^\p{Cc}]{1,255}$/u);
const weight = (): z.ZodNumber => countOf(NODE_WEIGHT_MAX);

const somethingToChange = { error: "nothing is to be changed" } as const;
const hasSettings = (settings: object): boolean => Object.keys(settings).length > 0;

export const nodeSettingsSchema = z
  .strictObject({
    weight: weight()
      .optional()
      .meta({ description: "share of its domain's ring, 100 is usual; 0 takes no new copies" }),
    accepts_writes: z.boolean().optional().meta({ description: "whether it takes new copies" }),
    enabled: z
      .boolean()
      .optional()
      .meta({ description: "the same by the name that the configuration file has for it" }),
    domain: name()
      .optional()
      .meta({ description: "the fault domain that it is moved to; only where no copy is on it" }),
    rack: storageId().nullable().optional(),
    disk_type: z.enum(NODE_DISK_TYPES).optional(),
    access_key: accessKeyForm()
      .optional()
      .meta({ description: "with `secret_key`, of a node that was added by command" }),
    secret_key: textOf(/^[!-~]{1,256}$/).optional(),
  })
  .refine(hasSettings, somethingToChange)
  .refine(({ accepts_writes: one, enabled: other }) => one === undefined || other === undefined || one === other, {
    error: "accepts_writes and enabled are the same setting",
  })
  .refine(({ access_key: one, secret_key: other }) => (one === undefined) === (other === undefined), {
    error: "access_key and secret_key belong together",
  })
  .meta({ id: "NodeSettings" });
export type NodeSettingsRequest = z.infer<typeof nodeSettingsSchema>;

/** Judged by the rules of the configuration file; here is only what kind of value each is. */
export const newNodeSchema = z
  .strictObject({
    name: z.string(),
    endpoint: z.string().meta({ description: "address of an S3 endpoint, or `volume:PATH`" }),
    domain: z.string().meta({ description: "the fault domain that it stands in" }),
    bucket: z.string().optional().meta({ description: "the node's name where absent" }),
    region: z.string().optional(),
    access_key: z.string().optional(),
    secret_key: z.string().optional().meta({ description: "kept encrypted, never told" }),
    ca_file: z.string().optional().meta({ description: "PEM file on the gateway that is asked; its text is kept" }),
    external_endpoint: z.string().optional(),
    weight: z.number().optional(),
    enabled: z.boolean().optional(),
    metrics_path: z.string().optional(),
    metrics_token: z.string().optional(),
    physical_storage_id: z.string().optional(),
    host: z.string().optional(),
    rack: z.string().optional(),
    disk_type: z.enum(NODE_DISK_TYPES).optional(),
    index_path: z.string().optional(),
  })
  .meta({ id: "NewNode", description: "the settings of `storage.nodes[]`" });
export type NewNodeRequest = z.infer<typeof newNodeSchema>;

const domainFields = {
  min_nodes: countOf(NODES_MAX).optional(),
  replica_count: countOf(REPLICA_COUNT_MAX).optional(),
  accepts_writes: z
    .boolean()
    .optional()
    .meta({ description: "whether it takes planned copies and counts for the factor" }),
  priority: countOf(DOMAINS_MAX).optional().meta({ description: "its place among the active domains, 0 first" }),
};

export const domainSettingsSchema = z
  .strictObject(domainFields)
  .refine(hasSettings, somethingToChange)
  .meta({ id: "DomainSettings" });
export type DomainSettingsRequest = z.infer<typeof domainSettingsSchema>;

export const newDomainSchema = z
  .strictObject({ name: name(), role: z.enum(DOMAIN_ROLES).optional(), ...domainFields })
  .meta({ id: "NewDomain", description: "takes no copies unless `accepts_writes` says so, which wants nodes in it" });

export const liveSettingsSchema = z
  .object({
    version: z.number().int().meta({ description: "epoch of the topology: another one after every change" }),
    replication: z.object({
      factor: z.number().int(),
      quorum: z.number().int(),
      domain_choice: z.enum(["hash", "priority"]),
    }),
    degraded_write: z.object({
      enabled: z.boolean(),
      min_replicas: z.number().int(),
      handoff: z.enum(["any", "active", "none"]),
    }),
    virtual_nodes_per_node: z.number().int(),
    limits: limitsSchema,
    domains_that_accept_writes: z.number().int().meta({ description: "the factor can be raised to this" }),
    previous_factors: z
      .array(z.object({ factor: z.number().int(), until: z.iso.datetime() }))
      .meta({ description: "what was written before keeps the copies that it was planned with; the last ones first" }),
  })
  .meta({ id: "LiveSettings" });
export type LiveSettings = z.infer<typeof liveSettingsSchema>;

export const liveSettingsChangeSchema = z
  .strictObject({
    version: z.number().int().optional().meta({ description: "refused with 409 where it is another one by now" }),
    replication: z
      .strictObject({
        factor: countOf(DOMAINS_MAX).min(1).optional(),
        quorum: z.union([z.enum(["auto", "majority", "all"]), countOf(DOMAINS_MAX).min(1)]).optional(),
        domain_choice: z.enum(["hash", "priority"]).optional(),
      })
      .optional(),
    degraded_write: z
      .strictObject({
        enabled: z.boolean().optional(),
        min_replicas: countOf(DOMAINS_MAX).min(1).optional(),
        handoff: z.enum(["any", "active", "none"]).optional(),
      })
      .optional(),
    virtual_nodes_per_node: countOf(VIRTUAL_NODES_MAX).min(1).optional(),
    limits: limitsChangeSchema.optional(),
  })
  .meta({ id: "LiveSettingsChange", description: "what is absent stays as it is" });
export type LiveSettingsChange = z.infer<typeof liveSettingsChangeSchema>;

export const reloadSchema = z
  .object({
    changed: z.boolean().meta({ description: "the topology is another one than before" }),
    needs_restart: z.array(z.string()).meta({ description: "settings that are taken over at the next start only" }),
    version: z.number().int(),
  })
  .meta({ id: "Reload" });
export type Reload = z.infer<typeof reloadSchema>;

export const removedSchema = z
  .object({
    removed: z.string(),
    copies_on_record: z.boolean().meta({ description: "its copies are to be made anew" }),
  })
  .meta({ id: "Removed" });
export type Removed = z.infer<typeof removedSchema>;
