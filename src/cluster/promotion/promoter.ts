/**
 * Promotes standby nodes to domains that are short of healthy ones, and demotes them again: looks, decides, commits.
 * To be run by one gateway at a time; two that did it at once could do nothing twice, as a commit carries its epoch.
 */
import type { Catalog } from "../../catalog/catalog.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Topology } from "../../placement/topology.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { isHealthy, type Members } from "../members.ts";
import { TopologyChangeError } from "../topology-change-error.ts";
import { demoteNode, promoteNode, StaleEpochError } from "./change-promotion.ts";
import {
  NO_MEMORY,
  type NodeFacts,
  type PromotionDecision,
  type PromotionLimits,
  type PromotionMemory,
  planPromotion,
  standbyNodes,
} from "./plan-promotion.ts";

export interface PromoterDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: PromotionLimits;
  /** Whether this gateway may be cut off itself: what it misses says nothing of a domain then. */
  readonly holdsBack?: () => boolean;
  /** Domains of which something wants repair; `undefined` where that cannot be told. */
  readonly domainsWithWork: () => Promise<ReadonlySet<string> | undefined>;
  /** Resolves when this process goes by what the catalog says of the topology. */
  readonly refresh: () => Promise<void>;
  /** Told after the commit, when this process goes by it. */
  readonly onPromoted?: (node: Id, domain: string) => void;
  readonly onDemoted?: (node: Id, domain: string) => void;
}

export class Promoter {
  readonly #deps: PromoterDeps;
  #memory: PromotionMemory = NO_MEMORY;

  constructor(deps: PromoterDeps) {
    this.#deps = deps;
  }

  /** One look. @throws CatalogError */
  async run(signal: AbortSignal): Promise<void> {
    const { members, clock, limits, domainsWithWork, holdsBack } = this.#deps;
    if (holdsBack?.() === true) {
      // How long a domain has been short or well is counted anew from when it can be seen.
      this.#memory = { ...NO_MEMORY, changedAtMs: this.#memory.changedAtMs };
      return;
    }
    const { topology } = members();
    const facts = await this.#facts(topology);
    const promoted = topology.nodes.some(({ domain, homeDomain }) => domain !== homeDomain);
    const work = limits.autoDemote && promoted ? await domainsWithWork() : new Set<string>();
    const view = {
      topology,
      nowMs: clock.monotonicMs(),
      factsOf: (uuid: Id) => facts.get(uuid),
      wantsRepair: (domain: string) => work === undefined || work.has(domain),
    };
    const { decisions, memory } = planPromotion(view, this.#memory, limits);
    this.#memory = memory;
    for (const decision of decisions) {
      // Each is another epoch: the next one is decided anew under it, at the next look.
      if (signal.aborted || !(await this.#carryOut(decision, members().topology.epoch))) return;
    }
  }

  /**
   * Promotes by an operator's word, whatever the health of the domain.
   * @param nodeName the best standby node when absent
   * @returns the node's name
   * @throws TopologyChangeError; CatalogError
   */
  async promote(domain: string, nodeName?: string): Promise<string> {
    const { topology } = this.#deps.members();
    const facts = await this.#facts(topology);
    const free = standbyNodes({ topology, factsOf: (uuid) => facts.get(uuid) });
    const named = topology.nodes.find(({ name }) => name === nodeName);
    if (nodeName !== undefined && named === undefined) {
      throw new TopologyChangeError("unknown", `there is no node ${nodeName}`);
    }
    if (!topology.domains.some(({ name }) => name === domain)) {
      throw new TopologyChangeError("unknown", `there is no domain ${domain}`);
    }
    const node = named ?? free[0];
    if (node === undefined) throw new TopologyChangeError("refused", "there is no healthy standby node to promote");
    if (named !== undefined && facts.get(named.uuid)?.healthy !== true) {
      throw new TopologyChangeError("refused", `node ${named.name} is not healthy`);
    }
    await this.#commit({ kind: "promote", node, domain, cause: "an operator promoted it" });
    return node.name;
  }

  /**
   * Demotes by an operator's word. Its copies stay where they are, as hand-off copies, until they were moved home.
   * @throws TopologyChangeError; CatalogError
   */
  async demote(nodeName: string): Promise<void> {
    const { members } = this.#deps;
    const { topology } = members();
    const node = topology.nodes.find(({ name }) => name === nodeName);
    if (node === undefined) throw new TopologyChangeError("unknown", `there is no node ${nodeName}`);
    const others = members()
      .all()
      .filter(
        ({ spec }) => spec.domain === node.domain && spec.uuid !== node.uuid && members().acceptsWrites(spec.uuid),
      );
    if (node.domain !== node.homeDomain && others.length === 0) {
      throw new TopologyChangeError(
        "refused",
        `node ${nodeName} is the only one of domain ${node.domain} that takes copies: there is nowhere to move its own`,
      );
    }
    await this.#commit({ kind: "demote", node, domain: node.domain, cause: "an operator demoted it" });
  }

  /** @returns false where the topology is another one by now */
  async #carryOut(decision: PromotionDecision, epoch: number): Promise<boolean> {
    try {
      await this.#commit(decision, epoch);
      return true;
    } catch (error) {
      if (!(error instanceof StaleEpochError || error instanceof TopologyChangeError)) throw error;
      this.#deps.logger.info({ err: error, node: decision.node.name }, "a promotion was overtaken by another change");
      await this.#deps.refresh();
      return false;
    }
  }

  async #commit({ kind, node, domain, cause }: PromotionDecision, epoch?: number): Promise<void> {
    const { catalog, logger, refresh, onPromoted, onDemoted } = this.#deps;
    const under = epoch === undefined ? {} : { epoch };
    if (kind === "promote") await promoteNode(catalog, { node: node.name, domain, ...under });
    else await demoteNode(catalog, { node: node.name, ...under });
    const facts = { node: node.name, domain, cause };
    logger.warn(facts, kind === "promote" ? "a standby node was promoted" : "a promoted node is demoted");
    await refresh();
    if (kind === "promote") onPromoted?.(node.uuid, domain);
    else onDemoted?.(node.uuid, domain);
  }

  /** Room is asked for only of the nodes that could be promoted. */
  async #facts({ nodes }: Topology): Promise<ReadonlyMap<Id, NodeFacts>> {
    const { members } = this.#deps;
    const facts = await Promise.all(
      nodes.map(async ({ uuid, domain, homeDomain }): Promise<[Id, NodeFacts] | undefined> => {
        const member = members().get(uuid);
        if (member === undefined) return undefined;
        // One that only fails to answer for a moment still counts for its domain, and is no good stand-in for another.
        const standsBy = isHealthy(member) && domain === homeDomain && this.#isStandby(homeDomain);
        const healthy = standsBy || (member.state === "online" && !this.#isStandby(domain));
        const capacity = standsBy ? await member.node.capacity().catch(() => undefined) : undefined;
        return [uuid, { healthy, loadScore: member.loadScore(), freeBytes: capacity?.freeBytes }];
      }),
    );
    return new Map(facts.filter((each) => each !== undefined));
  }

  #isStandby(domain: string): boolean {
    return this.#deps.members().topology.domains.some(({ name, role }) => name === domain && role === "standby");
  }
}
