/**
 * Finds out how long ago the copies on every node were verified: walks the record of each node's copies once a day, a page
 * at a time and at a bounded rate, and keeps what the last whole pass came to. A pass goes on after a restart.
 */
import { type Catalog, walkPages } from "../../catalog/catalog.ts";
import { copyKeyOfIndex } from "../../catalog/keys.ts";
import type { KvEntry } from "../../catalog/kv.ts";
import { RecordError } from "../../catalog/records/codec.ts";
import type { Members } from "../../cluster/members.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Id } from "../../shared/ids.ts";
import { copiesBetween, findCopy, isJournals } from "../scrub/copies-of-node.ts";
import { LocalRecord } from "../scrub/local-record.ts";
import { Throttle } from "../scrub/throttle.ts";
import { type AgePass, type AgeState, NO_AGES, verifiedAgesCodec, verifiedAgesKey, withAges } from "./age-tally.ts";

const PASS_INTERVAL_MS = 86_400_000;
/** 86 million copies a day. With more than that, passes follow one after the other and take longer. */
const COPIES_PER_SECOND = 1_000;
const PAGE = 100;
/** The cursor is saved after so many copies. */
const SAVE_COPIES = 20_000;

export interface VerifiedAgesDeps {
  readonly catalog: Catalog;
  readonly members: () => Members;
  readonly clock: Clock;
}

export interface NodeAges extends AgePass {
  readonly nodeUuid: Id;
  readonly node: string;
  /** The fault domain that it serves. */
  readonly domain: string;
  readonly endedAtMs: number;
}

interface NodeState {
  readonly record: LocalRecord<AgeState>;
  state: AgeState;
}

export class VerifiedAges {
  readonly #deps: VerifiedAgesDeps;
  readonly #throttle: Throttle;
  readonly #nodes = new Map<Id, NodeState>();

  constructor(deps: VerifiedAgesDeps) {
    this.#deps = deps;
    this.#throttle = new Throttle(deps.clock, COPIES_PER_SECOND);
  }

  /** Of the nodes of the topology of which a pass has ended, in their order. */
  get last(): NodeAges[] {
    return this.#deps.members().topology.nodes.flatMap(({ uuid, name, domain }) => {
      const last = this.#nodes.get(uuid)?.state.last;
      return last === undefined ? [] : [{ ...last, nodeUuid: uuid, node: name, domain }];
    });
  }

  /** Takes up what is kept, and carries out the passes that are due. @throws CatalogError; the signal's reason */
  async run(signal: AbortSignal): Promise<void> {
    const { nodes } = this.#deps.members().topology;
    await this.refresh();
    for (const { uuid } of nodes) {
      const node = this.#nodes.get(uuid);
      if (node === undefined) continue;
      signal.throwIfAborted();
      const { pass, last } = node.state;
      if (pass !== undefined || last === undefined || last.startedAtMs + PASS_INTERVAL_MS <= this.#deps.clock.nowMs()) {
        await this.#pass(uuid, node, signal);
      }
    }
  }

  /** Takes up what is kept, by whichever gateway; not while a pass of this one runs. @throws CatalogError; RecordError */
  async refresh(): Promise<void> {
    for (const { uuid } of this.#deps.members().topology.nodes) {
      const record = new LocalRecord(this.#deps.catalog, verifiedAgesKey(uuid), verifiedAgesCodec);
      this.#nodes.set(uuid, { record, state: (await record.load()) ?? {} });
    }
  }

  async #pass(uuid: Id, node: NodeState, signal: AbortSignal): Promise<void> {
    const { catalog, clock } = this.#deps;
    let pass: NonNullable<AgeState["pass"]> = node.state.pass ?? { startedAtMs: clock.nowMs(), tally: NO_AGES };
    let unsaved = 0;
    for await (const page of walkPages(catalog.kv, copiesBetween(uuid, pass.after), PAGE)) {
      const read = page.at(-1);
      if (read === undefined) break;
      await this.#throttle.take(page.length, signal);
      pass = { ...pass, tally: withAges(pass.tally, await this.#agesOf(uuid, page)), after: copyKeyOfIndex(read.key) };
      unsaved += page.length;
      if (unsaved < SAVE_COPIES) continue;
      await this.#save(node, { ...node.state, pass });
      unsaved = 0;
    }
    const { startedAtMs, tally } = pass;
    await this.#save(node, { last: { startedAtMs, tally, endedAtMs: clock.nowMs() } });
  }

  async #save(node: NodeState, state: AgeState): Promise<void> {
    await node.record.save(state);
    node.state = state;
  }

  /** In milliseconds, of the copies that are on record as good. */
  async #agesOf(nodeUuid: Id, page: readonly KvEntry[]): Promise<(number | undefined)[]> {
    const { kv } = this.#deps.catalog;
    const nowMs = this.#deps.clock.nowMs();
    const found = await Promise.all(
      page.map(async ({ key: packed, value }) => {
        const key = copyKeyOfIndex(packed);
        if (isJournals(key)) return [];
        try {
          const copy = await findCopy(kv, { nodeUuid, key }, value);
          if (copy === undefined) return [];
          const { verifiedAtMs } = copy.slot;
          return [verifiedAtMs === undefined ? undefined : nowMs - verifiedAtMs];
        } catch (error) {
          // What cannot be read tells of no verification; the scrub reports it.
          if (error instanceof RecordError) return [undefined];
          throw error;
        }
      }),
    );
    return found.flat();
  }
}
