/** Deliberate faults, each of which the power cuts have to find. */
import type { Block, CopyKey, PutRequest, StorageNode } from "../../src/nodes/storage-node.ts";
import type { MachineFaults } from "./machine.ts";
import type { PlatterFaults } from "./platter.ts";

export interface Mutant {
  readonly name: string;
  readonly faults: MachineFaults & PlatterFaults;
  /** Of each node's disk, where the fault shows only while one is slower. */
  readonly turnsMax?: (node: number) => number;
  /** Whether it takes the loss of a disk to find it. */
  readonly losesDisks?: boolean;
}

const JOURNAL_KEYS = /^00000000\//;

export const MUTANTS: readonly Mutant[] = [
  { name: "a disk whose fsync does nothing", faults: { ignoresSync: true } },
  { name: "a disk whose folders are never synced", faults: { ignoresFolderSync: true } },
  { name: "a volume that answers before its sync", faults: { answersBeforeSync: true } },
  { name: "a commit that is acknowledged before the journal has it", faults: { asyncJournal: true } },
  {
    name: "a journal that is written before the bytes that it speaks of are durable",
    faults: { around: (node) => answeringEarly(node, (key) => !JOURNAL_KEYS.test(key)) },
  },
  {
    name: "a journal that answers before it is durable",
    faults: { around: (node) => answeringEarly(node, (key) => JOURNAL_KEYS.test(key)) },
  },
  {
    name: "a quorum of one, with the disk of a node lost",
    faults: { quorum: 1 },
    turnsMax: (node) => (node === 0 ? 2 : 25),
    losesDisks: true,
  },
];

/** Says of some copies that they are durable before they are. */
function answeringEarly(node: StorageNode, early: (key: CopyKey) => boolean): StorageNode {
  const put = async (request: PutRequest): ReturnType<StorageNode["put"]> => {
    if (!early(request.key)) return node.put(request);
    const { promise, resolve } = Promise.withResolvers<void>();
    const blocks = tellingItsEnd(request.blocks, resolve);
    const done = node.put({ ...request, blocks });
    await Promise.race([promise, done]);
    done.catch(() => {});
    return { proof: "fsync" };
  };
  return new Proxy(node, {
    get(target, name) {
      if (name === "put") return put;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

async function* tellingItsEnd(blocks: PutRequest["blocks"], ended: () => void): AsyncGenerator<Block, void, undefined> {
  for await (const block of blocks) yield block;
  ended();
}
