/**
 * What the catalog says of the topology and of who leads, as commits make it so, and whether each of them was right: who
 * leads does the background work alone, nodes are promoted and decommissioned for a reason, and none is taken out with
 * copies on record.
 */
import { leaderKey, topologyKey } from "../../src/catalog/keys.ts";
import type { KvCommitRequest } from "../../src/catalog/kv-atomic.ts";
import { decodeLeader } from "../../src/catalog/records/leader.ts";
import { pack, unpack } from "../../src/catalog/tuple.ts";
import {
  decodeNode,
  decodeTopology,
  type NodeRecord,
  type TopologyRecord,
} from "../../src/cluster/topology-records.ts";
import { type Id, idFromBytes } from "../../src/shared/ids.ts";
import type { Machine } from "./machine.ts";
import type { CaseConfig } from "./plan.ts";

/** A write that began under a policy may end this much later. */
const POLICY_LAG_MS = 60_000;
/** A machine that nothing has befallen for so long is known to be well by every gateway. */
const WELL_MS = 60_000;
/** A node is decommissioned after ten missed probes, the first of which may be an interval late or come at once. */
const AWAY_MS_MIN = 30_000;
const OPERATOR_MS = 60_000;

export interface ClusterWatchDeps {
  readonly config: CaseConfig;
  readonly nowMs: () => number;
  readonly machines: () => readonly Machine[];
  readonly serving: () => readonly { readonly name: string; readonly servesSinceMs: number }[];
  readonly onViolation: (what: string) => void;
  /** Told of a node whose record went. */
  readonly onRemoved: (record: NodeRecord, by: string) => void;
}

export class ClusterWatch {
  readonly #deps: ClusterWatchDeps;
  readonly #records = new Map<Id, NodeRecord>();
  #shape: TopologyRecord | undefined;
  readonly #policies: { readonly sinceMs: number; readonly quorum: number }[] = [];
  #leader: { readonly epoch: number; readonly by: string } | undefined;
  readonly #promotions = new Map<string, { readonly atMs: number; readonly by: string }>();
  readonly #asked = new Map<string, number>();

  constructor(deps: ClusterWatchDeps) {
    this.#deps = deps;
  }

  /** The node of a name that is in use. */
  recordOf(name: string): NodeRecord | undefined {
    return [...this.#records.values()].find((record) => record.name === name && record.configured);
  }

  get(uuid: Id): NodeRecord | undefined {
    return this.#records.get(uuid);
  }

  /** The domain that a node serves now; that of its machine where its record is gone. */
  domainOf(uuid: Id, machine: Machine | undefined): string | undefined {
    return this.#records.get(uuid)?.domain ?? machine?.domain;
  }

  promoted(): NodeRecord[] {
    return [...this.#records.values()].filter(({ domain, homeDomain }) => domain !== homeDomain);
  }

  decommissioned(): NodeRecord[] {
    return [...this.#records.values()].filter(({ decommissionedAtMs }) => decommissionedAtMs !== undefined);
  }

  /** Nodes that were demoted and are still to be emptied. */
  demoting(): NodeRecord[] {
    return [...this.#records.values()].filter(({ demotedFrom }) => demotedFrom !== undefined);
  }

  get shape(): TopologyRecord | undefined {
    return this.#shape;
  }

  /** The least quorum that a write which ends now may have been acknowledged by. */
  quorum(): number {
    const nowMs = this.#deps.nowMs();
    const inForce = this.#policies.filter(
      (_, at) => (this.#policies[at + 1]?.sinceMs ?? nowMs) >= nowMs - POLICY_LAG_MS,
    );
    return Math.min(
      ...inForce.map(({ quorum }) => quorum),
      this.#shape?.replication.quorum ?? this.#deps.config.quorum,
    );
  }

  /** An operator has a node promoted to a domain: for a while that is nobody's mistake. */
  operatorPromotes(domain: string): void {
    this.#asked.set(domain, this.#deps.nowMs());
  }

  committed(by: string, { mutations, checks }: KvCommitRequest): void {
    for (const mutation of mutations) {
      const { key } = mutation;
      if (beginsWith(key, LEADER)) {
        if (mutation.kind === "set") this.#leader = { epoch: decodeLeader(mutation.value).epoch, by };
      } else if (beginsWith(key, TOPOLOGY)) {
        if (mutation.kind === "set") this.#reshaped(decodeTopology(mutation.value));
      } else if (beginsWith(key, NODE)) {
        if (mutation.kind === "set") this.#changed(by, decodeNode(mutation.value), checks);
        else if (mutation.kind === "delete") this.#removed(by, key);
      } else if (mutation.kind === "delete" ? beginsWith(key, DYING) : beginsWith(key, COLLECTED)) {
        this.#doneByLeader(by, mutation.kind === "delete" ? "sweeps what died" : "collects orphans");
      }
    }
  }

  #reshaped(shape: TopologyRecord): void {
    const { quorum } = shape.replication;
    if (this.#shape?.replication.quorum !== quorum) this.#policies.push({ sinceMs: this.#deps.nowMs(), quorum });
    this.#shape = shape;
  }

  #changed(by: string, record: NodeRecord, checks: KvCommitRequest["checks"]): void {
    const before = this.#records.get(record.uuid);
    this.#records.set(record.uuid, record);
    if (before === undefined) return;
    if (record.domain !== before.domain && record.domain !== record.homeDomain) {
      this.#promotedBy(by, record);
    }
    if (record.decommissionedAtMs !== undefined && before.decommissionedAtMs === undefined) {
      this.#decommissionedBy(by, record, checks);
    }
  }

  #promotedBy(by: string, record: NodeRecord): void {
    const { config, nowMs, onViolation } = this.#deps;
    const { domain, name } = record;
    const now = nowMs();
    if (now - (this.#asked.get(domain) ?? Number.NEGATIVE_INFINITY) < OPERATOR_MS) return;
    const before = this.#promotions.get(domain);
    this.#promotions.set(domain, { atMs: now, by });
    const { coolDownMs } = config.cluster.promotion;
    if (before !== undefined && before.by === by && now - before.atMs < coolDownMs) {
      onViolation(
        `${by} promotes ${name} to ${domain} ${Math.round(now - before.atMs)} ms after another, within the cool-down`,
      );
    }
    const minNodes = this.#shape?.domains.find((each) => each.name === domain)?.minNodes ?? 0;
    const well = this.#wellIn(domain, record.uuid);
    if (well >= minNodes)
      onViolation(`${by} promotes ${name} to ${domain}, which has ${well} nodes of at least ${minNodes}`);
  }

  /** Nodes of a domain that nothing has befallen for long, so that nobody can take them for anything but healthy. */
  #wellIn(domain: string, except: Id): number {
    const { config, nowMs, machines } = this.#deps;
    // A network that loses calls may have made anybody miss anything.
    if (config.network.lostRequest + config.network.lostAnswer + config.network.slow > 0) return 0;
    const now = nowMs();
    return [...this.#records.values()].filter((record) => {
      if (record.domain !== domain || record.uuid === except || !record.configured) return false;
      if (record.decommissionedAtMs !== undefined || !record.admitted) return false;
      const machine = machines().find(({ name }) => name === record.name);
      return machine !== undefined && machine.wellSinceMs + WELL_MS < now;
    }).length;
  }

  #decommissionedBy(by: string, { name }: NodeRecord, checks: KvCommitRequest["checks"]): void {
    const { nowMs, machines, serving, onViolation } = this.#deps;
    this.#doneByLeader(by, `decommissions ${name}`);
    if (!checks.some((check) => check.kind === "version" && Buffer.compare(check.key, LEADER) === 0)) {
      onViolation(`${by} decommissions ${name} without a check that it leads`);
    }
    const machine = machines().find((each) => each.name === name);
    if (machine === undefined) return;
    const beforeMs = nowMs() - AWAY_MS_MIN;
    const gateways = serving();
    const missing = gateways.filter(
      (gateway) => gateway.servesSinceMs <= beforeMs && (machine.answeredAtMs.get(gateway.name) ?? 0) <= beforeMs,
    );
    if (2 * missing.length > gateways.length) return;
    onViolation(`${by} decommissions ${name}, which ${missing.length} of ${gateways.length} gateways have missed`);
  }

  #removed(by: string, key: Uint8Array): void {
    const uuid = unpack(key)[1];
    if (!(uuid instanceof Uint8Array)) return;
    const record = this.#records.get(idFromBytes(uuid));
    if (record === undefined) return;
    this.#records.delete(record.uuid);
    this.#deps.onRemoved(record, by);
  }

  #doneByLeader(by: string, what: string): void {
    if (this.#leader === undefined || this.#leader.by === by) return;
    this.#deps.onViolation(
      `${by} ${what}, and the leader is ${this.#leader.by} with epoch ${this.#leader.epoch} (I10)`,
    );
  }
}

const LEADER = leaderKey();
const TOPOLOGY = topologyKey();
const NODE = pack(["node"]);
const DYING = pack(["dying"]);
const COLLECTED = pack(["collected"]);

function beginsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, at) => key[at] === byte);
}
