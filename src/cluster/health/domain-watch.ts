/** Whether every domain has the healthy nodes that it needs, told with hysteresis. */
import type { NewEvent } from "../events/event.ts";
import { isHealthy, type Members } from "../members.ts";

/** Looks in a row with enough healthy nodes by which a domain has recovered. */
export const RECOVERED_LOOKS = 2;

export class DomainWatch {
  readonly #members: () => Members;
  readonly #record: (event: NewEvent) => void;
  /** Looks with enough healthy nodes since each domain was degraded. */
  readonly #degraded = new Map<string, number>();

  constructor(members: () => Members, record: (event: NewEvent) => void) {
    this.#members = members;
    this.#record = record;
  }

  /** Names of the domains that are degraded. */
  get degraded(): readonly string[] {
    return [...this.#degraded.keys()];
  }

  /** Looks at all domains; to be called at an interval. */
  look(): void {
    const members = this.#members();
    const { domains } = members.topology;
    const known = new Set(domains.map(({ name }) => name));
    for (const name of this.#degraded.keys()) if (!known.has(name)) this.#degraded.delete(name);
    for (const { name, minNodes } of domains) {
      const own = members.all().filter(({ spec }) => spec.domain === name);
      // Nothing is known of them yet: a start is no event.
      if (own.some(({ state }) => state === "joining")) continue;
      const healthy = own.filter(isHealthy).length;
      // By its state alone, so that a breaker that is open for a moment is none either.
      const there = own.filter(({ state }) => state === "online").length;
      if (there < minNodes) this.#enter(name, `${there} of at least ${minNodes} nodes are online`);
      else if (this.#degraded.has(name)) this.#recover(name, healthy, minNodes);
    }
  }

  #enter(domain: string, cause: string): void {
    if (!this.#degraded.has(domain)) this.#record({ kind: "DOMAIN_DEGRADED", domain, cause });
    this.#degraded.set(domain, 0);
  }

  #recover(domain: string, healthy: number, minNodes: number): void {
    const looks = healthy < minNodes ? 0 : (this.#degraded.get(domain) ?? 0) + 1;
    this.#degraded.set(domain, looks);
    if (looks < RECOVERED_LOOKS) return;
    this.#degraded.delete(domain);
    this.#record({ kind: "DOMAIN_RECOVERED", domain, cause: `${healthy} of at least ${minNodes} nodes are healthy` });
  }
}
