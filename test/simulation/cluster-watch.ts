/**
 * What the catalog says of the topology and of who leads, as commits make it so, and whether each of them was right: who
 * leads does the background work alone, nodes are promoted and decommissioned for a reason, and none is taken out with
 * copies on record.
 */
import { leaderKey, topologyKey } from "../../src/catalog/keys.ts";
import type { KvCommitRequest } from "../../src/catalog/kv-atomic.ts";
import { decodeJob, type Job } from "../../src/catalog/records/job.ts";
import { decodeLeader } from "../../src/catalog/records/leader.ts";
import { pack, unpack } from "../../src/catalog/tuple.ts";
import {
  decodeNode,
  decodeTopology,
  type NodeRecord,
  type TopologyRecord,
} from "../../src/cluster/topology-records.ts";
import { type Id, idFromBytes } from "../../src/shared/ids.ts";
import { GAP_MS, type Machine } from "./machine.ts";
import type { CaseConfig } from "./plan.ts";
import { LATE_COMMIT_MS_MAX } from "./store.ts";

/** A write that began under a policy may end this much later. */
const POLICY_LAG_MS = 60_000;
/** A machine that nothing has befallen for so long is known to be well by every gateway. */
const WELL_MS = 60_000;
/** From what a gateway reports of a node to the commit that goes by it. */
const REPORT_LAG_MS = 12_000;
/** What an operator asked for comes at the latest after this. */
const OPERATOR_MS = 60_000;
/** From the decision to the commit. */
const COMMIT_MS = 4_000;

interface Witness {
  readonly name: string;
  readonly servesSinceMs: number;
}

export interface ClusterWatchDeps {
  readonly config: CaseConfig;
  readonly nowMs: () => number;
  readonly machines: () => readonly Machine[];
  readonly serving: () => readonly Witness[];
  /** Those that died, and when. */
  readonly died: () => readonly (Witness & { readonly diedMs: number })[];
  readonly onViolation: (what: string) => void;
  /** Told of a node whose record went. */
  readonly onRemoved: (record: NodeRecord, by: string) => void;
  /** Told of nodes that a job says to have emptied. */
  readonly onDrained: (nodes: readonly NodeRecord[], by: string) => void;
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

  /** How many nodes in use have their home in a domain. */
  nodesAtHome(domain: string): number {
    return [...this.#records.values()].filter((record) => record.homeDomain === domain && record.configured).length;
  }

  promoted(): NodeRecord[] {
    return [...this.#records.values()].filter(({ domain, homeDomain }) => domain !== homeDomain);
  }

  decommissioned(): NodeRecord[] {
    return [...this.#records.values()].filter(
      ({ decommissionedAtMs, configured }) => decommissionedAtMs !== undefined && configured,
    );
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

  /** An operator has a node of a domain promoted or demoted: for a while a change there is nobody's mistake. */
  operatorPromotes(domain: string): void {
    this.#asked.set(domain, this.#deps.nowMs());
  }

  committed(by: string, { mutations }: KvCommitRequest): void {
    for (const mutation of mutations) {
      const { key } = mutation;
      if (beginsWith(key, LEADER)) {
        if (mutation.kind === "set") this.#leader = { epoch: decodeLeader(mutation.value).epoch, by };
      } else if (beginsWith(key, TOPOLOGY)) {
        if (mutation.kind === "set") this.#reshaped(decodeTopology(mutation.value));
      } else if (beginsWith(key, NODE)) {
        if (mutation.kind === "set") this.#changed(by, decodeNode(mutation.value));
        else if (mutation.kind === "delete") this.#removed(by, key);
      } else if (beginsWith(key, JOB)) {
        if (mutation.kind === "set") this.#jobChanged(by, decodeJob(mutation.value));
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

  #changed(by: string, record: NodeRecord): void {
    const before = this.#records.get(record.uuid);
    this.#records.set(record.uuid, record);
    if (before === undefined) return;
    if (record.domain !== before.domain) {
      const promoted = record.domain !== record.homeDomain;
      const domain = promoted ? record.domain : before.domain;
      if (!this.#isAsked(domain)) {
        this.#checkCoolDown(by, domain, `${promoted ? "promotes" : "demotes"} ${record.name}`);
        if (promoted) this.#checkNeed(by, record);
      }
    }
    if (record.decommissionedAtMs !== undefined && before.decommissionedAtMs === undefined) {
      this.#decommissionedBy(by, record);
    }
  }

  #isAsked(domain: string): boolean {
    return this.#deps.nowMs() - (this.#asked.get(domain) ?? Number.NEGATIVE_INFINITY) < OPERATOR_MS;
  }

  #checkCoolDown(by: string, domain: string, what: string): void {
    const { config, nowMs, onViolation } = this.#deps;
    const before = this.#promotions.get(domain);
    this.#promotions.set(domain, { atMs: nowMs(), by });
    const afterMs = nowMs() - (before?.atMs ?? Number.NEGATIVE_INFINITY);
    // What another process did is not remembered: its successor sees for itself how the domain has been for a while.
    const commitMs = config.store.lateCommit > 0 ? LATE_COMMIT_MS_MAX : COMMIT_MS;
    if (before?.by !== by || afterMs + commitMs >= config.cluster.promotion.coolDownMs) return;
    onViolation(`${by} ${what} ${Math.round(afterMs)} ms after another change of ${domain}, within the cool-down`);
  }

  #checkNeed(by: string, { uuid, name, domain }: NodeRecord): void {
    const minNodes = this.#shape?.domains.find((each) => each.name === domain)?.minNodes ?? 0;
    const well = this.#wellIn(domain, uuid);
    if (well < minNodes) return;
    this.#deps.onViolation(`${by} promotes ${name} to ${domain}, which has ${well} nodes of at least ${minNodes}`);
  }

  /** Nodes of a domain that nothing has befallen for long, so that nobody can take them for anything but healthy. */
  #wellIn(domain: string, except: Id): number {
    const { config, nowMs, machines } = this.#deps;
    // On any other network everybody may have missed anything.
    const { latencyMsMax: _latency, ...troubles } = config.network;
    if (Object.values(troubles).some((rate) => rate > 0)) return 0;
    const now = nowMs();
    return [...this.#records.values()].filter((record) => {
      if (record.domain !== domain || record.uuid === except || !record.configured) return false;
      if (record.decommissionedAtMs !== undefined || !record.admitted) return false;
      const machine = machines().find(({ name }) => name === record.name);
      return machine !== undefined && machine.wellSinceMs + WELL_MS < now;
    }).length;
  }

  #decommissionedBy(by: string, { name }: NodeRecord): void {
    const { nowMs, machines, serving, died, onViolation } = this.#deps;
    this.#doneByLeader(by, `decommissions ${name}`);
    const machine = machines().find((each) => each.name === name);
    if (machine === undefined) return;
    const now = nowMs();
    const gateways = serving();
    const missedBy = ({ name: gateway, servesSinceMs }: Witness, atMs: number): boolean => {
      const { lastMs, againSinceMs } = machine.answers.get(gateway) ?? { lastMs: 0, againSinceMs: 0 };
      if (servesSinceMs > atMs - GAP_MS) return false;
      // What it reported a moment ago counts still.
      return lastMs <= atMs - GAP_MS || againSinceMs > atMs - REPORT_LAG_MS;
    };
    const missing = gateways.filter((gateway) => missedBy(gateway, now));
    // And so does what one reported that died a moment ago.
    const dead = died().filter((gateway) => gateway.diedMs > now - REPORT_LAG_MS && missedBy(gateway, gateway.diedMs));
    if (2 * (missing.length + dead.length) > gateways.length + dead.length) return;
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

  #jobChanged(by: string, { kind, state, subject }: Job): void {
    if (kind !== "DRAIN" || state !== "done") return;
    const nodes = [...this.#records.values()].filter(
      ({ uuid, domain }) => subject.key === (subject.kind === "node" ? uuid : domain),
    );
    this.#deps.onDrained(nodes, by);
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
const JOB = pack(["job"]);
const DYING = pack(["dying"]);
const COLLECTED = pack(["collected"]);

function beginsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, at) => key[at] === byte);
}
