/**
 * The whole gateway: opens what it needs from the bottom up, listens, and closes from the top down.
 */
import type { Server } from "node:http";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { replication } from "../admin/cluster-views.ts";
import { createAdminServer } from "../admin/server.ts";
import type { Config, ListenAddress, Secrets } from "../config/config.ts";
import type { Principal } from "../objects/api.ts";
import { metered } from "../observability/foreground.ts";
import { createLoggers, type Logger } from "../observability/logger.ts";
import { createMetrics } from "../observability/metrics.ts";
import { rootCredentials } from "../s3/credentials.ts";
import { createS3Server } from "../s3/server.ts";
import { loadChecksums } from "../shared/checksums.ts";
import { systemClock } from "../shared/clock.ts";
import { systemRandom } from "../shared/random.ts";
import { type GatewayKeys, loadKeys } from "./key-files.ts";
import { listen, requireFree, stopServer } from "./listen.ts";
import { nodePlaces } from "./nodes.ts";
import { claimDataFolder, startStep } from "./start-step.ts";
import { openStorage } from "./storage.ts";

/** The id of the one user that there is so far. */
const ROOT_PRINCIPAL: Principal = { id: "root", displayName: "root" };

export interface Gateway extends AsyncDisposable {
  readonly s3Url: string;
  readonly adminUrl: string;
  readonly keys: GatewayKeys;
}

/** @throws StartError */
export async function startGateway(options: {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly version: string;
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
    }),
  );
  stack.use(storage);

  const adminContext = {
    catalog: storage.catalog,
    members: storage.members,
    orphans: storage.orphans,
    scrubbing: storage.scrubbing,
    setNode: storage.setNode,
    jobs: storage.jobs,
    journal: storage.journal,
    ...storage.care,
    placeOf: nodePlaces(config.storage.nodes, storage.catalog.clusterId),
    usageOf: storage.usageOf,
  };
  metrics.watchNodes(() =>
    storage
      .members()
      .all()
      .map((member) => ({
        node: member.spec.name,
        domain: member.spec.domain,
        online: member.state === "online",
        loadScore: member.loadScore(),
      })),
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
    const { missing, handoff, unverified, corrupt, dying_blobs, orphans } = await replication(adminContext);
    return { missing, handoff, unverified, corrupt, dying: dying_blobs, orphan: orphans };
  });

  const { limits, s3, admin } = config.server;
  const state = { draining: false };
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
  stack.defer(() => {
    state.draining = true;
  });
  logger.info({ s3Url, adminUrl, version, cluster: storage.catalog.clusterId }, "gateway is serving");
  const started = stack.move();
  return { s3Url, adminUrl, keys, [Symbol.asyncDispose]: () => started.disposeAsync() };
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
