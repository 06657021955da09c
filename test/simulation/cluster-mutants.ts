/** Deliberate bugs of leadership, health, promotion, jobs and topology: see mutants.ts. */
import type { Catalog } from "../../src/catalog/catalog.ts";
import { copiesRange, sessionKey, sessionsRange } from "../../src/catalog/keys.ts";
import type { Kv, KvAtomic, KvEntry, KvListOptions, KvRange } from "../../src/catalog/kv.ts";
import { unpack } from "../../src/catalog/tuple.ts";
import type { Member, Members } from "../../src/cluster/members.ts";
import type { Block, CopyKey, PutReceipt, PutRequest, StorageNode } from "../../src/nodes/storage-node.ts";
import type { SlotLedger } from "../../src/replication/slot-ledger.ts";
import { type Id, idFromBytes } from "../../src/shared/ids.ts";
import type { Mutant, Parts } from "./mutation.ts";

export const CLUSTER_MUTANTS: readonly Mutant[] = [
  {
    name: "epoch-not-checked",
    what: "what background work commits does not check that no other leader came since (I10)",
    operationsMax: 10_000,
    mutation: {
      leadership: (leadership, catalog) => ({ catalog, whileLeading: (run) => leadership.whileLeading(run) }),
    },
  },
  {
    name: "everybody-leads",
    what: "every gateway does the background work (I10)",
    operationsMax: 5_000,
    mutation: { leadership: (_leadership, catalog) => ({ catalog, whileLeading: (run) => run }) },
  },
  {
    name: "decommissioned-on-one-word",
    what: "a node is decommissioned because one gateway cannot reach it (H12)",
    operationsMax: 30_000,
    mutation: { healthCatalog: (catalog) => ({ ...catalog, kv: withLists(catalog.kv, onlySession(catalog)) }) },
  },
  {
    name: "promotion-ignores-min-nodes",
    what: "a standby node is promoted to a domain that has as many nodes as it is to have",
    operationsMax: 30_000,
    mutation: { promotionMembers: (members) => () => withMoreMinNodes(members()) },
  },
  {
    name: "drain-ends-early",
    what: "a drain is done while copies are on record on the node",
    operationsMax: 5_000,
    mutation: { jobCatalog: (catalog) => ({ ...catalog, kv: withLists(catalog.kv, noLastCopies) }) },
  },
  {
    name: "moved-before-durable",
    what: "the record points to the copy of a move that is still on its way, unverified (I6)",
    operationsMax: 5_000,
    mutation: { jobMembers: withHastyNodes },
  },
  {
    name: "move-deletes-source-first",
    what: "the copy that is moved is deleted before the record points to the new one (I6)",
    operationsMax: 5_000,
    mutation: { jobLedger: sourceFirst },
  },
  {
    name: "removed-with-copies",
    what: "a node is taken out of the cluster while copies are on record on it (I1)",
    operationsMax: 30_000,
    mutation: { removalCatalog: withoutEmptyChecks },
  },
];

/** Deletes each copy that a change of slots lets go of before the change is committed. */
export function sourceFirst({ ledger, discarder }: Parts): SlotLedger {
  return {
    change: (blobId, home, decide) =>
      ledger.change(blobId, home, (located) => {
        const change = decide(located);
        const kept = new Set(change?.slots.map(({ location }) => location?.key));
        for (const { location } of change === undefined ? [] : located.blob.slots) {
          if (location !== undefined && !kept.has(location.key)) discarder.discard(blobId, [location]);
        }
        return change;
      }),
  };
}

type List = (kv: Kv, range: KvRange, how: KvListOptions) => Promise<KvEntry[]>;

function withLists(kv: Kv, list: List): Kv {
  return {
    get: (key) => kv.get(key),
    getMany: (keys) => kv.getMany(keys),
    list: (range, how) => list(kv, range, how),
    atomic: () => kv.atomic(),
    version: () => kv.version(),
    close: () => kv.close(),
  };
}

/** Of the gateways that live, the one itself alone. */
function onlySession({ session }: Catalog): List {
  const own = sessionKey(session);
  return async (kv, range, how) => {
    const found = await kv.list(range, how);
    if (Buffer.compare(range.start, sessionsRange().start) !== 0) return found;
    return found.filter(({ key }) => Buffer.compare(key, own) === 0);
  };
}

/** Asked whether there is one copy of a node on record, it says no. */
async function noLastCopies(kv: Kv, range: KvRange, how: KvListOptions): Promise<KvEntry[]> {
  const found = await kv.list(range, how);
  const [kind, uuid] = found[0] === undefined ? [] : unpack(found[0].key);
  if (how.limit !== 1 || kind !== "copy" || !(uuid instanceof Uint8Array)) return found;
  return Buffer.compare(range.start, copiesRange(idFromBytes(uuid)).start) === 0 ? [] : found;
}

function withMoreMinNodes(members: Members): Members {
  const { topology } = members;
  const domains = topology.domains.map((domain) => ({ ...domain, minNodes: domain.minNodes + 1 }));
  return view(members, { topology: { ...topology, domains } });
}

/** Nodes whose puts are answered at once, and that are read from what was put. */
function withHastyNodes({ members }: Parts): () => Members {
  const sent = new Map<CopyKey, Promise<Uint8Array>>();
  return () => {
    const now = members();
    const hasty = (uuid: Id): Member | undefined => {
      const member = now.get(uuid);
      return member === undefined ? undefined : proxy(member, { node: hastyNode(member.node, sent) });
    };
    return view(now, { get: hasty });
  };
}

function hastyNode(node: StorageNode, sent: Map<CopyKey, Promise<Uint8Array>>): StorageNode {
  return proxy(node, {
    async put(request: PutRequest): Promise<PutReceipt> {
      const blocks: Block[] = [];
      for await (const block of request.blocks) blocks.push(block);
      sent.set(request.key, Promise.resolve(Buffer.concat(blocks.flatMap(({ chunks }) => chunks))));
      const { signal: _, ...rest } = request;
      void node.put({ ...rest, blocks }).catch(() => {});
      return { proof: "checksum" };
    },
    async get(key, range, signal) {
      const bytes = await sent.get(key);
      if (bytes === undefined) return node.get(key, range, signal);
      return (async function* () {
        yield bytes.subarray(range.start, range.end);
      })();
    },
  });
}

function view(members: Members, replaced: Partial<Members>): Members {
  return proxy(members, replaced);
}

/** An object with some of its properties replaced, whatever it is made of. */
function proxy<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get(of, key) {
      if (key in replaced) return Reflect.get(replaced, key);
      const value: unknown = Reflect.get(of, key);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

function withoutEmptyChecks(catalog: Catalog): Catalog {
  return {
    ...catalog,
    begin(): KvAtomic {
      const atomic = catalog.begin();
      atomic.checkEmpty = () => atomic;
      return atomic;
    },
    commit: (atomic) => catalog.commit(atomic),
    journaledVersion: () => catalog.journaledVersion(),
  };
}
