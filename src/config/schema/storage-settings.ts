/** `storage.*` */
import * as z from "zod";
import { cronProblem } from "../../shared/cron.ts";
import { durabilitySettings } from "./durability-settings.ts";
import { accessKey, DOMAINS_MAX, label, NODES_MAX, secretKey } from "./forms.ts";
import { duration, flag, integer, type Leaf, leaf, originUrl, size, word, wordOrInteger } from "./leaves.ts";
import { domainSettings, nodeSettings } from "./node-settings.ts";
import { settingNotes } from "./setting-notes.ts";

const SIX_FIELDS = /^([0-9A-Za-z*/,?#-]+ +){5}[0-9A-Za-z*/,?#-]+$/;

/** Six fields, seconds first. */
const schedule = (): Leaf<string> =>
  leaf("a schedule of six fields, seconds first, such as 0 */15 * * * ?", (written) =>
    typeof written === "string" && SIX_FIELDS.test(written) && cronProblem(written) === undefined
      ? { value: written }
      : { refused: true },
  );

export const storageSettings = z.strictObject({
  activeDomains: z.array(label()).max(DOMAINS_MAX).optional().register(settingNotes, {
    meaning: "domains that take writes, in order of priority",
    defaultNote: "required with nodes; else `a` and `b`",
  }),
  standbyDomain: label()
    .optional()
    .register(settingNotes, { meaning: "hot standby pool; takes hand-off copies only, until a node is promoted" }),
  virtualNodesPerNode: integer(1, 10_000)
    .prefault(150)
    .register(settingNotes, { meaning: "virtual nodes of a node with weight 100" }),
  externalEndpoint: originUrl()
    .optional()
    .register(settingNotes, { meaning: "endpoint that URLs of nodes are signed for (another network, a VPN)" }),
  accessKey: accessKey()
    .optional()
    .register(settingNotes, { meaning: "access key for S3 nodes that have none of their own", secret: true }),
  secretKey: secretKey()
    .optional()
    .register(settingNotes, { meaning: "secret key for S3 nodes that have none of their own", secret: true }),
  nodes: z.array(nodeSettings).max(NODES_MAX).optional().register(settingNotes, {
    meaning: "storage nodes",
    defaultNote: "an embedded node for each active domain, in the data folder: `a1`, `b1`",
  }),
  domains: z
    .array(domainSettings)
    .max(DOMAINS_MAX)
    .prefault([])
    .register(settingNotes, { meaning: "settings of single domains" }),
  replication: z
    .strictObject({
      factor: integer(1, DOMAINS_MAX).optional().register(settingNotes, {
        meaning: "domains that hold a copy",
        defaultNote: "number of active domains that accept writes",
      }),
      quorum: wordOrInteger(["auto", "majority", "all"], 1, DOMAINS_MAX).prefault("auto").register(settingNotes, {
        meaning:
          "domains that must hold a durable copy before a write is acknowledged; `auto`: all of a factor up to 2, the majority of a larger one",
      }),
      domainChoice: word(["hash", "priority"]).prefault("hash").register(settingNotes, {
        meaning:
          "which domains when there are more than the factor: by a weighted hash, or always the first ones; reads of equally loaded copies likewise",
      }),
    })
    .prefault({}),
  degradedWrite: z
    .strictObject({
      enabled: flag().prefault(true).register(settingNotes, {
        meaning: "acknowledge below quorum while every other domain has no node that accepts writes",
      }),
      minReplicas: integer(1, DOMAINS_MAX).prefault(1).register(settingNotes, {
        meaning: "least copies then, hand-off copies included; two wherever two nodes accept writes",
      }),
      handoff: word(["any", "active", "none"]).prefault("any").register(settingNotes, {
        meaning:
          "where hand-off copies go: `any` (other active domains, then standby, then the same domain), `active` or `none`",
      }),
      trackForSync: flag().prefault(true).register(settingNotes, {
        meaning: "record what is missing; must stay true while degraded writes are enabled",
      }),
    })
    .prefault({}),
  write: z
    .strictObject({
      segmentSize: size("4MiB", "512MiB")
        .prefault("64MiB")
        .register(settingNotes, { meaning: "larger objects are cut in segments of this size, each placed on its own" }),
      stallTimeout: duration("100ms", "10min")
        .prefault("10s")
        .register(settingNotes, { meaning: "a node that accepts no byte of a copy for this long has failed" }),
      stragglerTimeout: duration("0s", "1h")
        .prefault("60s")
        .register(settingNotes, { meaning: "how long copies may still arrive after the write was acknowledged" }),
      buffer: size("256KiB", "64MiB")
        .prefault("1MiB")
        .register(settingNotes, { meaning: "buffer of each target of a write" }),
      lagTimeout: duration("0s", "10min").prefault("1s").register(settingNotes, {
        meaning: "a target whose buffer is full for this long no longer holds the others up, and is completed later",
      }),
    })
    .prefault({}),
  read: z
    .strictObject({
      hedgeDelayMs: integer(0, 60_000).prefault(250).register(settingNotes, {
        meaning: "a copy that sends no byte for this long is asked of a second node as well",
      }),
      stallTimeout: duration("100ms", "10min")
        .prefault("10s")
        .register(settingNotes, { meaning: "a node that sends no byte of a copy for this long has failed" }),
    })
    .prefault({}),
  delete: z
    .strictObject({
      grace: duration("0s", "7d")
        .prefault("10min")
        .register(settingNotes, { meaning: "how long bytes stay on the nodes after the last reference to them went" }),
    })
    .prefault({}),
  rebalance: z
    .strictObject({
      enabled: flag().prefault(true).register(settingNotes, { meaning: "run jobs that only move copies" }),
      automatic: flag().prefault(true).register(settingNotes, {
        meaning: "move copies to a node that is added, takes copies again, or has more weight or a larger disk",
      }),
      rateLimitPerSecond: integer(1, 100_000).prefault(10).register(settingNotes, { meaning: "copies moved a second" }),
      bandwidthLimitMib: wordOrInteger(["none"], 1, 100_000)
        .prefault("none")
        .register(settingNotes, { meaning: "MiB moved a second" }),
      cleanupSource: flag()
        .prefault(false)
        .register(settingNotes, { meaning: "remove the source; else it stays on record as surplus and is served" }),
    })
    .prefault({}),
  repair: z
    .strictObject({
      rateLimitPerSecond: wordOrInteger(["auto"], 1, 100_000)
        .prefault("auto")
        .register(settingNotes, { meaning: "copies restored a second; `auto`: as many as clients let it" }),
      bandwidthLimitMib: wordOrInteger(["auto"], 1, 100_000)
        .prefault("auto")
        .register(settingNotes, { meaning: "MiB restored a second" }),
    })
    .prefault({}),
  compaction: z
    .strictObject({
      enabled: flag()
        .prefault(true)
        .register(settingNotes, { meaning: "give the space of deleted copies on embedded nodes back to the disk" }),
      deadPercent: integer(1, 90).prefault(25).register(settingNotes, {
        meaning:
          "dead share of a volume file from which on it is compacted; 5 while less than 10 % of the disk is free",
      }),
      bandwidthLimitMib: integer(1, 100_000).prefault(128).register(settingNotes, {
        meaning: "MiB read and written a second, on each node; a quarter of it while the node serves requests",
      }),
    })
    .prefault({}),
  scrub: z
    .strictObject({
      enabled: flag().prefault(true).register(settingNotes, {
        meaning: "read every copy on every node again and again, to find those that rot",
      }),
      interval: duration("1h", "365d").prefault("30d").register(settingNotes, {
        meaning: "in which every copy is read at least once, as far as the limits allow",
      }),
      rateLimitPerSecond: integer(1, 100_000)
        .prefault(100)
        .register(settingNotes, { meaning: "copies read a second, on each node" }),
      bandwidthLimitMib: integer(1, 100_000)
        .prefault(20)
        .register(settingNotes, { meaning: "MiB read a second, on each node" }),
    })
    .prefault({}),
  durability: durabilitySettings.prefault({}),
  consistency: z
    .strictObject({
      repair: z
        .strictObject({
          enabled: flag().prefault(true).register(settingNotes, {
            meaning: "compare nodes with the catalog, daily, and repair by the schedule besides when there is work",
          }),
          cron: schedule()
            .prefault("0 */15 * * * ?")
            .register(settingNotes, { meaning: "schedule of repair; six fields, seconds first" }),
          batchSize: integer(1, 10_000)
            .prefault(100)
            .register(settingNotes, { meaning: "entries of the record of missing copies read at a time" }),
          lockTimeoutSeconds: integer(10, 3_600).prefault(600).register(settingNotes, {
            meaning: "lifetime of its lock, renewed while work goes on; the next leader has another one",
          }),
        })
        .prefault({}),
    })
    .prefault({}),
  health: z
    .strictObject({
      intervalSeconds: integer(1, 3600)
        .prefault(30)
        .register(settingNotes, { meaning: "between two probes of a node" }),
      decommission: flag().prefault(true).register(settingNotes, {
        meaning: "take a node that missed ten probes for gone until an operator takes it back; one at a time",
      }),
    })
    .prefault({}),
  promotion: z
    .strictObject({
      intervalSeconds: integer(1, 3600)
        .prefault(30)
        .register(settingNotes, { meaning: "between two looks for domains that want a standby node" }),
      hysteresisSeconds: integer(1, 86_400).prefault(60).register(settingNotes, {
        meaning:
          "a domain has to be short of healthy nodes for this long, without a break, before a standby node is promoted",
      }),
      coolDownSeconds: integer(0, 86_400)
        .prefault(300)
        .register(settingNotes, { meaning: "least time between two changes for the same domain" }),
      autoDemote: flag().prefault(false).register(settingNotes, {
        meaning: "demote a node by itself when its domain has recovered and its data are back",
      }),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      cacheSeconds: integer(1, 3600)
        .prefault(60)
        .register(settingNotes, { meaning: "how long a node's scraped metrics are used" }),
    })
    .prefault({}),
});

export type StorageSettings = z.output<typeof storageSettings>;
