/**
 * Whether it is this gateway that is cut off, and not its nodes that are away. Pure: isolation-guard.ts watches by it.
 *
 * Nodes fail one by one, or a domain of them at once. Where more than that is silent, it is as likely that this gateway
 * has lost its network, and whatever it did then about the nodes it would do to a cluster that is well. Other gateways
 * tell the one from the other. Where there is none, the loss of a domain is what promotion is for, and is taken for one as
 * long as anything answers that a copy could be made from.
 */
import type { Topology, TopologyNode } from "../../placement/topology.ts";
import type { Id } from "../../shared/ids.ts";
import type { Member } from "../members.ts";
import type { HealthReport } from "./reports.ts";
import { MISSED_DEGRADED } from "./transitions.ts";

/** Share of the nodes that may be silent at most without other gateways being asked. */
export const SILENT_SHARE_MAX = 1 / 3;
/** Domains that may be wholly silent at most without other gateways being asked. */
const SILENT_DOMAINS_MAX = 1;

/** What a question needs of a member. */
export interface SeenNode extends Pick<Member, "state" | "missedProbes"> {
  readonly spec: Pick<TopologyNode, "uuid" | "domain">;
}

export interface IsolationQuestion {
  readonly topology: Pick<Topology, "domains">;
  readonly members: readonly SeenNode[];
  /** Session of this gateway. */
  readonly session: number;
  /** Sessions of the gateways that live, this one among them. */
  readonly gateways: ReadonlySet<number>;
  /** Reports that are kept up. A gateway that lives and has none misses nothing. */
  readonly reports: ReadonlyMap<number, HealthReport>;
}

/** Why this gateway is not to act on what it misses, for an operator; `undefined` where it may. */
export function whyIsolated(question: IsolationQuestion): string | undefined {
  // One that was decommissioned is known to be away, by the word of most gateways.
  const nodes = question.members.filter(({ state }) => state !== "decommissioned");
  const silent = nodes.filter(isSilent);
  if (!silent.some(mayBeActedOn)) return undefined;
  const count = `${silent.length} of ${nodes.length} nodes do not answer this gateway`;
  const { session, gateways, reports } = question;
  const others = [...gateways].filter((other) => other !== session);
  const seen = others.length === 0 ? [] : silent.filter(({ spec }) => !isMissedByMost(spec.uuid, { others, reports }));
  if (isMuch(silent, nodes) && seen.length > 0) {
    return `${count}, and by the word of other gateways ${seen.length} of those are there`;
  }
  if (silent.length === nodes.length) return `${count}: nothing is left to make copies from`;
  const active = question.topology.domains.filter(({ role }) => role === "active").map(({ name }) => name);
  const lost = new Set(silentDomains(silent, nodes));
  if (active.length > SILENT_DOMAINS_MAX && active.every((name) => lost.has(name))) {
    return `${count}, all nodes of all active domains among them: nothing is left to make copies from`;
  }
  return undefined;
}

/** Whether a node has not answered lately: the next ones to be missed count before it shows in their states. */
function isSilent({ state, missedProbes }: SeenNode): boolean {
  return state === "unreachable" || missedProbes > 0;
}

function mayBeActedOn({ state, missedProbes }: SeenNode): boolean {
  return state === "unreachable" || missedProbes >= MISSED_DEGRADED;
}

function isMuch(silent: readonly SeenNode[], nodes: readonly SeenNode[]): boolean {
  return silent.length > nodes.length * SILENT_SHARE_MAX || silentDomains(silent, nodes).length > SILENT_DOMAINS_MAX;
}

/** Domains that have nodes, all of which are silent. */
function silentDomains(silent: readonly SeenNode[], nodes: readonly SeenNode[]): string[] {
  const away = new Set(silent);
  const answering = new Set(nodes.filter((node) => !away.has(node)).map(({ spec }) => spec.domain));
  return [...new Set(silent.map(({ spec }) => spec.domain))].filter((domain) => !answering.has(domain));
}

/** Whether most gateways, this one included, miss the node. */
function isMissedByMost(
  uuid: Id,
  { others, reports }: { readonly others: readonly number[]; readonly reports: ReadonlyMap<number, HealthReport> },
): boolean {
  const missing = others.filter((session) => (reports.get(session)?.missed.get(uuid) ?? 0) >= MISSED_DEGRADED);
  return 1 + missing.length > (1 + others.length) / 2;
}
