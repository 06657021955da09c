/**
 * The validated configuration as the rest of the process sees it: every default filled in, every contradiction
 * refused (see load-config.ts). Durations are milliseconds and sizes bytes, whatever the file said. Secrets are kept
 * apart, so that a Config can be shown. docs/configuration.md is generated from schema.ts.
 */
import type { DiskType, ReplicationPolicy, TopologyDomain } from "../placement/topology.ts";
import type { Secret } from "../shared/secret.ts";

export interface Config {
  readonly server: ServerConfig;
  readonly catalog: CatalogConfig;
  readonly journal: JournalConfig;
  readonly coordinator: CoordinatorConfig;
  readonly storage: StorageConfig;
  readonly events: EventsConfig;
  readonly log: LogConfig;
}

/** A TCP address to listen on; an IPv6 host stands without its brackets. Port 0 asks for a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface ServerConfig {
  /** Holds `catalog/`, `nodes/<name>/` and `keys/`. Relative to the working directory unless absolute. */
  readonly dataDir: string;
  readonly s3: {
    readonly listen: ListenAddress;
    /** Base URL that clients reach the gateway by, without a trailing slash. */
    readonly publicUrl?: string;
    /** Base of virtual-hosted buckets (`bucket.DOMAIN`), lower case. */
    readonly domain?: string;
    readonly region: string;
  };
  readonly admin: {
    readonly listen: ListenAddress;
  };
  /** Always 1 in this version. */
  readonly workers: number;
  readonly limits: ServerLimits;
}

export interface ServerLimits {
  /** Open client connections; more are refused. */
  readonly connectionsMax: number;
  /** Requests served at a time; more are answered SlowDown. */
  readonly requestsMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  /** From the first byte of a request until its headers are complete. */
  readonly headersTimeoutMs: number;
  /** Time in which a client must send, or take, at least one byte of a body. */
  readonly stallTimeoutMs: number;
  /** How long an idle connection is kept. */
  readonly keepAliveTimeoutMs: number;
  /** How long a stop waits for requests under way. */
  readonly drainTimeoutMs: number;
}

export type CatalogConfig =
  | {
      readonly kind: "lmdb";
      /** The folder of the store. */
      readonly path: string;
    }
  | { readonly kind: "memory" };

/** Of the catalog's journal on the nodes. */
export interface JournalConfig {
  /** Whether a commit is answered only when the journal has it. */
  readonly sync: boolean;
  readonly timeoutMs: number;
  readonly snapshotIntervalMs: number;
  /** Bytes of journal after which a snapshot is made before its time. */
  readonly snapshotBytes: number;
}

export type CoordinatorConfig =
  | { readonly kind: "embedded" }
  | {
      readonly kind: "redis";
      /** The server, or its sentinels. */
      readonly addresses: readonly ListenAddress[];
      /** The name by which the sentinels know the server; absent where `addresses` is the server. */
      readonly sentinelMaster?: string;
      readonly tls: boolean;
      /** PEM file with the certificates that the servers' own are signed by. */
      readonly caFile?: string;
      readonly database: number;
    };
export interface EventsConfig {
  /** Absent: events are posted nowhere. */
  readonly webhook?: { readonly url: string; readonly timeoutMs: number };
}

export interface LogConfig {
  readonly level: LogLevel;
}

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

export interface ExternalEndpoints {
  readonly everywhere?: string;
  /** By the name of the fault domain that a node stands in. */
  readonly ofDomains: ReadonlyMap<string, string>;
}

export interface StorageConfig {
  /** Active domains in order of priority, then the standby domain if there is one. */
  readonly domains: readonly DomainConfig[];
  readonly nodes: readonly NodeConfig[];
  /** What URLs of S3 nodes are signed for that name no endpoint of their own for that; each of `nodes` has its own. */
  readonly externalEndpoints: ExternalEndpoints;
  /** Virtual nodes of a node with weight 100. */
  readonly virtualNodesPerNode: number;
  /** Factor and quorum are resolved to numbers of domains. */
  readonly replication: ReplicationPolicy;
  readonly write: WriteConfig;
  readonly read: ReadConfig;
  readonly delete: {
    /** How long a blob's bytes stay on the nodes after the last reference to it went. */
    readonly graceMs: number;
  };
  readonly rebalance: {
    readonly enabled: boolean;
    /** Whether a node that joins its domain's ring gets its copies without being asked for. */
    readonly automatic: boolean;
    /** Copies moved a second. */
    readonly rateLimitPerSecond: number;
    /** Absent: no limit. */
    readonly bandwidthLimitBytesPerSecond?: number;
    readonly cleanupSource: boolean;
  };
  readonly repair: {
    readonly rateLimitPerSecond: number | "auto";
    readonly bandwidthLimitBytesPerSecond: number | "auto";
  };
  readonly compaction: CompactionConfig;
  readonly scrub: {
    /** Whether nodes are scrubbed without being asked to. */
    readonly enabled: boolean;
    /** In which every copy is to be read at least once. */
    readonly intervalMs: number;
    /** Of each node. */
    readonly bytesPerSecond: number;
    readonly copiesPerSecond: number;
  };
  readonly durability: {
    /** Probability that a node fails for good within a year; for estimates only. */
    readonly annualFailureRate: number;
  };
  readonly consistencyRepair: {
    readonly enabled: boolean;
    /** Six fields, seconds first. */
    readonly cron: string;
    readonly batchSize: number;
    readonly lockTimeoutMs: number;
  };
  readonly health: {
    readonly intervalMs: number;
    /** Whether nodes that are away for long are decommissioned without an operator. */
    readonly decommission: boolean;
  };
  readonly promotion: {
    readonly intervalMs: number;
    /** A domain has to be short of healthy nodes for this long before a standby node is promoted. */
    readonly hysteresisMs: number;
    /** Least time between two changes for the same domain. */
    readonly coolDownMs: number;
    readonly autoDemote: boolean;
  };
  readonly metrics: { readonly cacheMs: number };
}

/** Of the volumes of embedded nodes. */
export interface CompactionConfig {
  readonly enabled: boolean;
  /** Dead share of a volume from which on it is compacted. */
  readonly deadPercent: number;
  /** Read and written, on each node. */
  readonly bytesPerSecond: number;
}

export type DomainConfig = TopologyDomain;

interface NodeConfigBase {
  readonly name: string;
  /** The name that it had before. */
  readonly formerName?: string;
  /** The fault domain that the node is configured in; an active or the standby domain. */
  readonly domain: string;
  readonly weight: number;
  /** Whether it takes new copies. */
  readonly enabled: boolean;
  readonly physicalStorageId: string;
  readonly host: string;
  readonly rack?: string;
  /** `unknown`: to be found out where possible. */
  readonly diskType: DiskType;
}

/** An embedded node: a folder on this machine. */
export interface VolumeNodeConfig extends NodeConfigBase {
  readonly kind: "volume";
  readonly path: string;
  /** Folder of the node's index where it lies on another disk. */
  readonly indexPath?: string;
}

/** A MinIO server or any other S3 endpoint. Its keys are in `Secrets.nodes` under its name. */
export interface S3NodeConfig extends NodeConfigBase {
  readonly kind: "s3";
  /** `http://` or `https://`, host and port, nothing after it. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** PEM file with the certificates that the node's own is signed by. */
  readonly caFile?: string;
  /** Those certificates themselves, of a node that was added by command. */
  readonly ca?: string;
  /** What URLs of this node are signed for: the node's own setting, its domain's or the cluster's. */
  readonly externalEndpoint?: string;
  readonly metricsPath: string;
}

export type NodeConfig = VolumeNodeConfig | S3NodeConfig;

export interface WriteConfig {
  /** Objects larger than this are cut in segments, each placed on its own. */
  readonly segmentBytes: number;
  /** A target that accepted no byte for this long has failed. */
  readonly stallTimeoutMs: number;
  /** How long copies may still arrive after the write was acknowledged. Repair leaves their slots alone until then. */
  readonly stragglerTimeoutMs: number;
  /** Buffer of each target of a write. */
  readonly bufferBytes: number;
  /** A target whose buffer is full for this long no longer holds the others up; it is completed later. */
  readonly lagTimeoutMs: number;
}

export interface ReadConfig {
  /** A copy that sent no byte for this long is asked of a second node as well. */
  readonly hedgeDelayMs: number;
  /** A copy that sent no byte for this long has failed. */
  readonly stallTimeoutMs: number;
}

/** What must never be shown; given to the few parts that use it. */
export interface Secrets {
  /** Absent: generated at the first start. */
  readonly rootKey?: KeyPair;
  /** Absent: generated at the first start. */
  readonly adminApiKey?: Secret;
  readonly coordinator: CoordinatorSecrets;
  /** Sent with every event to the webhook. */
  readonly webhookSecret?: Secret;
  /** By node name; every S3 node has an entry. */
  readonly nodes: ReadonlyMap<string, NodeSecrets>;
}

/** Empty where Redis wants none. */
export interface CoordinatorSecrets {
  readonly server: RedisLogin;
  readonly sentinels: RedisLogin;
}

export interface RedisLogin {
  readonly username?: string;
  readonly password?: Secret;
}

export interface KeyPair {
  readonly accessKey: string;
  readonly secretKey: Secret;
}

export interface NodeSecrets extends KeyPair {
  /** Bearer token for the node's metrics. */
  readonly metricsToken?: Secret;
}
