/**
 * The whole gateway: opens what it needs from the bottom up, listens, and closes from the top down.
 */
import type { Server } from "node:http";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { replication } from "../admin/cluster-views.ts";
import { knownCapacities } from "../admin/node-figures.ts";
import { createAdminServer } from "../admin/server.ts";
import type { ReloadReport } from "../admin/topology-control.ts";
import { isHealthy } from "../cluster/members.ts";
import type { Config, ListenAddress, Secrets } from "../config/config.ts";
import type { LoadedConfig } from "../config/load-config.ts";
import type { Principal } from "../objects/api.ts";
import { metered } from "../observability/foreground.ts";
import { createLoggers, type Logger } from "../observability/logger.ts";
import { createMetrics } from "../observability/metrics.ts";
import { rootCredentials } from "../s3/credentials.ts";
import { createPresigner } from "../s3/presign.ts";
import { createS3Server } from "../s3/server.ts";
import { loadChecksums } from "../shared/checksums.ts";
import { systemClock } from "../shared/clock.ts";
import { systemRandom } from "../shared/random.ts";
import { directReads } from "./direct.ts";
import { type GatewayKeys, loadKeys } from "./key-files.ts";
import { listen, requireFree, stopServer } from "./listen.ts";
import { claimDataFolder, startStep } from "./start-step.ts";
import { openStorage } from "./storage.ts";

/** The id of the one user that there is so far. */
const ROOT_PRINCIPAL: Principal = { id: "root", displayName: "root" };

export interface Gateway extends AsyncDisposable {
  readonly s3Url: string;
  readonly adminUrl: string;
  readonly keys: GatewayKeys;
  /** Reads the configuration again and takes over what can be. @throws TopologyChangeError; CatalogError */
  readonly reload: () => Promise<ReloadReport>;
}

/** @throws StartError */
export async function startGateway(options: {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly version: string;
  /** Reads the configuration again; without it, it cannot be reloaded. */
  readonly reread?: () => LoadedConfig;
}): Promise<Gateway> {
  const { config, secrets, version } = options;
  const clock = systemClock;
  const random = systemRandom();
  const loggers = createLoggers({ level: config.log.level, clock });
  const metrics = createMetrics({ version, processMetrics: true });
  const dataDir = resolve(config.server.dataDir);
  await using stack = new AsyncDisposableStack();

  stack.use(await claimDataFolder(dataDir));
  // Before anything is made in the folder or left on a node by a start that cannot succeed.
  for (const [name, { host, port }] of listenAddresses(config)) {
    await startStep(`${name}: cannot listen on ${host}:${port}`, () => requireFree({ host, port }));
  }
  const keys = await startStep(`the keys in ${join(dataDir, "keys")} cannot be used`, () =>
    loadKeys(join(dataDir, "keys"), secrets, { random, region: config.server.s3.region }),
  );
  const storage = await startStep("the storage cannot be opened", () =>
    openStorage({
      config,
      secrets,
      clusterKey: keys.clusterKey,
      principalOf: (owner) => (owner === ROOT_PRINCIPAL.id ? ROOT_PRINCIPAL : { id: owner, displayName: owner }),
      host: hostname(),
      pid: process.pid,
      clock,
      random,
      loggers,
      metrics,
      reread: options.reread,
    }),
  );
  stack.use(storage);

  const state: { draining: boolean; s3Url?: string } = { draining: false };
  const adminContext = {
    catalog: storage.catalog,
    members: storage.members,
    orphans: storage.orphans,
    coordination: storage.coordination.summary,
    isolation: () => storage.isolation.reason,
    repairer: storage.repairer,
    ...storage.redundancy,
    scrubbing: storage.scrubRequests,
    rejoinNode: storage.rejoinNode,
    events: storage.events,
    jobs: storage.jobs,
    journal: storage.journal,
    ...storage.care,
    durability: storage.durability,
    topologyControl: storage.topologyControl,
    placeOf: storage.placeOf,
    usageOf: storage.usageOf,
    clock,
    directReads: directReads({ config, storage, metrics, clock, random }),
    presign: createPresigner(config.server.s3, { ...keys.rootKey, region: config.server.s3.region }, () => state.s3Url),
    figuresOf: storage.figuresOf,
  };
  metrics.watchNodes(() =>
    storage
      .members()
      .all()
      .map((member) => ({
        node: member.spec.name,
        domain: member.spec.domain,
        online: isHealthy(member),
        loadScore: member.loadScore(),
      })),
  );
  metrics.watchCapacity(() => knownCapacities(storage, storage.members().all()));
  metrics.watchIsolation(() => storage.isolation.holdsBack());
  metrics.watchHealth(() =>
    storage
      .members()
      .all()
      .map(({ spec, state, conditions, missedProbes }) => ({ node: spec.name, state, conditions, missedProbes })),
  );
  metrics.watchVolumes(() =>
    storage
      .members()
      .all()
      .flatMap(({ spec }) => {
        const usage = storage.usageOf(spec.uuid);
        return usage === undefined ? [] : [{ node: spec.name, ...usage }];
      }),
  );
  metrics.watchBacklog(async () => {
    const { missing, handoff, unverified, corrupt, dying_blobs, orphans, dead_letters } =
      await replication(adminContext);
    const waiting = { missing, handoff, unverified, corrupt, "dead-letter": dead_letters };
    return { ...waiting, dying: dying_blobs, orphan: orphans };
  });

  const { limits, s3, admin } = config.server;
  const adminServer = createAdminServer({
    ...adminContext,
    apiKey: keys.adminApiKey,
    metrics,
    version,
    logger: loggers.named("admin"),
    draining: () => state.draining,
  });
  const s3Server = createS3Server({
    objects: storage.objects,
    credentials: rootCredentials(keys.rootKey.accessKey, keys.rootKey.secretKey.reveal(), ROOT_PRINCIPAL),
    settings: {
      region: s3.region,
      ...(s3.domain === undefined ? {} : { domain: s3.domain }),
      ...(s3.publicUrl === undefined ? {} : { publicUrl: s3.publicUrl }),
    },
    redirects: adminContext.directReads,
    limits,
    checksums: await loadChecksums(),
    clock,
    random,
    logger: loggers.named("s3"),
    metrics: metered(metrics, storage.foreground),
  });
  const logger = loggers.named("server");
  const adminUrl = await serve(stack, adminServer, {
    name: "server.admin.listen",
    address: admin.listen,
    limits,
    logger,
  });
  const s3Url = await serve(stack, s3Server, { name: "server.s3.listen", address: s3.listen, limits, logger });
  state.s3Url = s3Url;
  stack.defer(() => {
    state.draining = true;
  });
  logger.info({ s3Url, adminUrl, version, cluster: storage.catalog.clusterId }, "gateway is serving");
  const started = stack.move();
  const { reload } = storage.topologyControl;
  return { s3Url, adminUrl, keys, reload, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

async function serve(
  stack: AsyncDisposableStack,
  server: Server,
  how: { name: string; address: ListenAddress; limits: Config["server"]["limits"]; logger: Logger },
): Promise<string> {
  const { name, address, limits, logger } = how;
  const url = await startStep(`${name}: cannot listen on ${address.host}:${address.port}`, () =>
    listen(server, address),
  );
  stack.defer(() => stopServer(server, { drainTimeoutMs: limits.drainTimeoutMs, clock: systemClock, logger }));
  return url;
}

function listenAddresses({ server }: Config): [name: string, address: ListenAddress][] {
  return [
    ["server.s3.listen", server.s3.listen],
    ["server.admin.listen", server.admin.listen],
  ];
}
