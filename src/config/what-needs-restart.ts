/** What of a configuration that is read again is taken over while the gateway serves, and what is not. */
import { isDeepStrictEqual } from "node:util";
import type { Config, KeyPair, Secrets } from "./config.ts";

/** What the topology in the catalog is made of, which every gateway follows, and how fast background work may be. */
const LIVE: ReadonlySet<string> = new Set([
  ...["domains", "nodes", "externalEndpoints", "virtualNodesPerNode", "replication"],
  ...["rebalance", "repair"],
]);

interface Loaded {
  readonly config: Config;
  readonly secrets: Secrets;
}

/** Names of settings, or of groups of them, in which `after` differs from `before` and that are read at a start only. */
export function whatNeedsRestart(before: Loaded, after: Loaded): string[] {
  const { server, storage, ...rest } = before.config;
  return [
    ...differing("server", server, after.config.server),
    ...Object.keys(rest).flatMap((key) => {
      const group = key as keyof typeof rest;
      return isDeepStrictEqual(rest[group], after.config[group]) ? [] : [key === "journal" ? "catalog.journal" : key];
    }),
    ...differing("storage", withoutRates(storage), withoutRates(after.config.storage)).filter(
      (name) => !LIVE.has(name.slice("storage.".length)),
    ),
    ...(sameKey(before.secrets.rootKey, after.secrets.rootKey) ? [] : ["server.rootKey"]),
    ...(before.secrets.adminApiKey?.reveal() === after.secrets.adminApiKey?.reveal() ? [] : ["server.admin.apiKey"]),
    ...movedVolumes(storage.nodes, after.config.storage.nodes),
  ];
}

/** How fast a scrub may be is live, when there is one is not. */
function withoutRates({ scrub, ...storage }: Config["storage"]): object {
  const { copiesPerSecond: _copies, bytesPerSecond: _bytes, ...rest } = scrub;
  return { ...storage, scrub: rest };
}

/** A folder that is open cannot be opened a second time. */
function movedVolumes(before: Config["storage"]["nodes"], after: Config["storage"]["nodes"]): string[] {
  return after.flatMap((node) => {
    const earlier = before.find(({ name }) => name === node.name);
    if (earlier === undefined || (node.kind !== "volume" && earlier.kind !== "volume")) return [];
    return isDeepStrictEqual(placeOf(earlier), placeOf(node)) ? [] : [`storage.nodes.${node.name}.endpoint`];
  });
}

function placeOf(node: Config["storage"]["nodes"][number]): unknown {
  return node.kind === "volume" ? [node.path, node.indexPath] : node.endpoint;
}

function differing<T extends object>(group: string, before: T, after: T): string[] {
  return Object.keys({ ...before, ...after }).flatMap((key) => {
    const setting = key as keyof T;
    return isDeepStrictEqual(before[setting], after[setting]) ? [] : [`${group}.${key}`];
  });
}

function sameKey(one: KeyPair | undefined, other: KeyPair | undefined): boolean {
  return one?.accessKey === other?.accessKey && one?.secretKey.reveal() === other?.secretKey.reveal();
}
