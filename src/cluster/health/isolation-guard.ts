/**
 * Watches whether this gateway is cut off itself (isolation.ts), and says so: while it is, it promotes nobody,
 * decommissions nobody, and takes no node's copies for lost.
 */
import type { Catalog } from "../../catalog/catalog.ts";
import type { Logger } from "../../observability/logger.ts";
import type { Clock } from "../../shared/clock.ts";
import type { NewEvent } from "../events/event.ts";
import type { Members } from "../members.ts";
import { whyIsolated } from "./isolation.ts";
import { FreshReports, type HealthReport, liveSessions, readReports } from "./reports.ts";

/**
 * Intervals for which it goes on holding back after its last sign of being cut off: the nodes come back one after the
 * other, and the last of them are no loss.
 */
const RELEASE_INTERVALS = 2;

export interface IsolationGuardDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** Must not throw, and is not waited for. */
  readonly record: (event: NewEvent) => void;
}

export class IsolationGuard {
  readonly #deps: IsolationGuardDeps;
  readonly #fresh: FreshReports;
  #gateways: ReadonlySet<number> = new Set();
  #reports: ReadonlyMap<number, HealthReport> = new Map();
  /** Of the last sign of being cut off: why, and when, monotonic. */
  #last: { readonly reason: string; readonly atMs: number } | undefined;
  #told = false;

  constructor(deps: IsolationGuardDeps) {
    this.#deps = deps;
    this.#fresh = new FreshReports(deps);
  }

  /** Why this gateway does nothing about the nodes that it misses; `undefined` while it may. */
  get reason(): string | undefined {
    const { catalog, members, clock, intervalMs } = this.#deps;
    const now = members();
    const atMs = clock.monotonicMs();
    const reason = whyIsolated({
      topology: now.topology,
      members: now.all(),
      session: catalog.session,
      gateways: this.#gateways,
      reports: this.#reports,
    });
    if (reason !== undefined) this.#last = { reason, atMs };
    else if (this.#last !== undefined && atMs >= this.#last.atMs + RELEASE_INTERVALS * intervalMs) {
      this.#last = undefined;
    }
    return this.#last?.reason;
  }

  /** Whether nothing is to be done about the nodes that this gateway misses. */
  holdsBack(): boolean {
    return this.reason !== undefined;
  }

  /** One look at what the others see, to be taken at every interval. Tells of what has changed. @throws CatalogError */
  async look(): Promise<void> {
    const { catalog } = this.#deps;
    try {
      this.#gateways = await liveSessions(catalog);
      this.#reports = this.#fresh.of(await readReports(catalog));
    } finally {
      this.#tell();
    }
  }

  #tell(): void {
    const { reason } = this;
    if ((reason !== undefined) === this.#told) return;
    this.#told = reason !== undefined;
    const { logger, record } = this.#deps;
    if (reason === undefined) {
      logger.info({}, "this gateway sees its nodes again and acts on what it misses");
      record({ kind: "GATEWAY_CONNECTED", cause: "it sees its nodes again, as far as other gateways do" });
    } else {
      logger.warn({ reason }, "this gateway may be cut off: it does nothing about the nodes that it misses");
      record({ kind: "GATEWAY_ISOLATED", cause: reason });
    }
  }
}
