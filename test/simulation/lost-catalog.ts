/**
 * The catalog's disk is gone: when a fault may take it without asking for more than was promised, and how an operator
 * makes it again from the journal on the nodes, as src/compose/rebuild.ts does.
 */

import { walk } from "../../src/catalog/catalog.ts";
import { Holdings } from "../../src/catalog/journal/holdings.ts";
import { JournalReader } from "../../src/catalog/journal/journal-reader.ts";
import { noteLocally, type Replayed, replay } from "../../src/catalog/journal/replay.ts";
import { orphansHeldKey, WHOLE_CATALOG } from "../../src/catalog/keys.ts";
import type { KvStore } from "../../src/catalog/kv.ts";
import { isLocal } from "../../src/catalog/kv-atomic.ts";
import { memoryKv } from "../../src/catalog/memory/memory-kv.ts";
import { listJournal, readOnlyNode } from "../../src/compose/journal.ts";
import { domainsThatAnswer } from "../../src/compose/seen-domains.ts";
import type { Id } from "../../src/shared/ids.ts";
import type { Machine } from "./machine.ts";
import type { CaseConfig } from "./plan.ts";

export interface Cluster {
  readonly config: CaseConfig;
  readonly clusterId: Id;
  readonly machines: readonly Machine[];
  readonly uuidOf: (machine: Machine) => Id | undefined;
  readonly newStore: (store: KvStore) => KvStore;
}

/**
 * Whether the journal is in enough places still: of the domains that it was promised to be in, fewer were hurt than
 * would be needed to hold a commit alone. One that was hurt and has everything again counts as whole.
 * @param shippedThrough what gateways said to be durable
 */
export async function mayLoseCatalog(cluster: Cluster, shippedThrough: number): Promise<boolean> {
  const { config, machines } = cluster;
  const hurt = new Set(machines.filter(({ journalHurt, store }) => journalHurt || store.identity === undefined));
  const domains = new Set([...hurt].map(({ domain }) => domain));
  for (const domain of domains) {
    const own = machines.filter((machine) => machine.domain === domain);
    if (own.some(({ store }) => store.identity === undefined)) continue;
    const replayed = await replayFrom(cluster, own).catch(() => undefined);
    if (replayed === undefined || replayed.version < shippedThrough) continue;
    domains.delete(domain);
    for (const machine of own) machine.journalHurt = false;
  }
  // A degraded commit may be on any two nodes alone.
  return config.degraded.enabled ? domains.size === 0 : domains.size < config.quorum;
}

/**
 * @param lost that the new one is to be equal to, if all of it was in the journal
 * @returns undefined while too few nodes answer
 */
export async function rebuild(
  cluster: Cluster,
  lost: { readonly store: KvStore; readonly shippedThrough: number },
): Promise<{ readonly made: KvStore; readonly version: number; readonly different?: string | undefined } | undefined> {
  const { config, machines } = cluster;
  const seen = machines.filter(({ up, silent, store }) => up && !silent && store.identity !== undefined);
  const active = Array.from({ length: config.domains }, (_, number) => `d${number}`);
  const unseen = machines.filter((machine) => !seen.includes(machine));
  // A domain that lacks a piece does not count either; an operator is told of gaps and damage.
  const incomplete = machines.filter((machine) => unseen.includes(machine) || machine.journalHurt);
  if (!domainsThatAnswer(active, incomplete, { ...config, degradedWrite: config.degraded }).enough) return undefined;
  const { kv, version, gapUntil } = await replayFrom(cluster, seen);
  const whole = lost.shippedThrough >= (await lost.store.version());
  const different = whole ? await difference(lost.store, kv) : undefined;
  if (unseen.length > 0 || gapUntil !== undefined) {
    await noteLocally(kv, orphansHeldKey(), Buffer.from("rebuilt without all of the journal"));
  }
  return { made: kv, version, different };
}

async function replayFrom(cluster: Cluster, machines: readonly Machine[]): Promise<Replayed> {
  const { clusterId, uuidOf, newStore } = cluster;
  const holdings = new Holdings();
  const nodes = machines.flatMap(({ name, domain, under: node }) => {
    const machine = machines.find((each) => each.name === name);
    const uuid = machine && uuidOf(machine);
    return uuid === undefined ? [] : [readOnlyNode({ uuid, name, domain, node })];
  });
  for (const node of nodes) await listJournal(node, holdings);
  const reader = new JournalReader({ clusterId, holdings, nodes });
  return replay(reader, async () => newStore(memoryKv()));
}

async function difference(lost: KvStore, made: KvStore): Promise<string | undefined> {
  const [before, after] = await Promise.all([textOf(lost), textOf(made)]);
  const wrong = before.find((entry, at) => entry !== after[at]) ?? after[before.length];
  return wrong === undefined ? undefined : `the catalog that was made again differs at ${wrong}`;
}

async function textOf(store: KvStore): Promise<string[]> {
  const entries: string[] = [];
  for await (const { key, value, version } of walk(store, WHOLE_CATALOG)) {
    if (!isLocal(key)) entries.push(`${key.toString("hex")} ${value.toString("hex")} ${version}`);
  }
  return entries;
}
