/**
 * Background work and calls on the same blob: whatever the one does between any two steps of the other, every object has
 * its bytes, and in the end all its copies, and nothing else is left anywhere (I1, I3, I4, I5).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../../src/observability/logger.ts";
import { AbsentNodes } from "../../../src/replication/repair/absent-nodes.ts";
import { patternBytes } from "../../support/blobs.ts";
import { assertFullyRedundant, assertSound } from "../../support/catalog-audit.ts";
import type { GatewayProcess } from "../../support/gateway-process.ts";
import type { InMemoryGateway } from "../../support/in-memory-gateway.ts";
import { atEveryStep, interposeAt } from "../../support/interpose.ts";
import { ObjectClient } from "../../support/object-client.ts";
import { openBox } from "../../support/open-box.ts";
import { blobOf, changeSlot, rot } from "../../support/slots.ts";

const BYTES = Buffer.from(patternBytes(1_000, 1));
const OTHER = Buffer.from(patternBytes(900, 2));
const NEVER = new AbortController().signal;

/** What is the matter with object `a`, and what background work does about it. */
interface Work {
  readonly prepare: (gateway: InMemoryGateway) => Promise<void>;
  readonly run: (gateway: InMemoryGateway, process: GatewayProcess) => Promise<unknown>;
}

const WORKS: Readonly<Record<string, Work>> = {
  "a missing copy is made": {
    prepare: (gateway) => changeSlot(gateway, "a", 1, ({ domain }) => ({ state: "missing", domain })),
    run: (_, process) => process.repairer.run(NEVER),
  },
  "a corrupt copy is replaced": {
    prepare: async (gateway) => {
      await rot(gateway, "a", 1);
      await changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "corrupt" }));
    },
    run: (_, process) => process.repairer.run(NEVER),
  },
  "an unverified copy is checked": {
    prepare: (gateway) => changeSlot(gateway, "a", 1, (slot) => ({ ...slot, state: "unverified" })),
    run: (_, process) => process.repairer.run(NEVER),
  },
  "damage is recorded": {
    prepare: (gateway) => rot(gateway, "a", 1),
    run: async (gateway, process) => {
      const blob = (await blobOf(gateway, "a").catch(() => undefined))?.blob;
      const location = blob?.slots[1]?.location;
      if (blob === undefined || location === undefined) return;
      await process.repairer.recordDamage({ blobId: blob.blobId, slot: 1, location, kind: "corrupt" });
    },
  },
  "copies of a node that was replaced are put on record": {
    prepare: async (gateway) => gateway.members.setState(gateway.node("d1-0").uuid, "replaced"),
    run: async (gateway, { catalog, ledger }) => {
      const members = () => gateway.members;
      await new AbsentNodes({ catalog, members, ledger, clock: gateway.clock, logger: silentLogger }).run(NEVER);
      gateway.members.setState(gateway.node("d1-0").uuid, "online");
    },
  },
  "what died is swept": {
    prepare: async (gateway) => {
      const client = new ObjectClient(() => gateway.service);
      await client.copy("box/a", "box/b");
      await client.delete("box/b");
      await client.put("box/b", OTHER);
      await client.delete("box/b");
      await gateway.sweep();
      gateway.clock.advance(3_600_000);
    },
    run: (gateway) => gateway.process.sweeper.run(NEVER),
  },
};

const CALLS: Readonly<Record<string, (client: ObjectClient) => Promise<unknown>>> = {
  overwrite: (client) => client.put("box/a", OTHER),
  delete: (client) => client.delete("box/a"),
  copy: (client) => client.copy("box/a", "box/b"),
  "copy onto itself": (client) => client.copy("box/a", "box/a", { checksumAlgorithm: "SHA1" }),
  "copy over": async (client) => client.copy("box/z", "box/a"),
  "copy as a part": async (client) => {
    const upload = await client.createUpload("box/c");
    await client.complete(upload, [await client.partCopy(upload, 1, "box/a", { start: 3, end: 800 })]);
  },
  get: (client) => client.get("box/a"),
};

interface Meeting {
  readonly work: string;
  readonly call: string;
  /** Which of the two the other comes into the midst of. */
  readonly first: "work" | "call";
}

/** Whether the first had a step of this number. */
async function meet({ work, call, first }: Meeting, at: number): Promise<boolean> {
  const { gateway, client } = await openBox({ domains: 3, nodesPerDomain: 2, policy: { domainChoice: "priority" } });
  const peer = await gateway.peer();
  await client.put("box/z", OTHER);
  await client.put("box/a", BYTES);
  const { prepare, run } = WORKS[work] ?? assert.fail();
  await prepare(gateway);
  const background = (): Promise<unknown> => run(gateway, gateway.process);
  const foreground = async (): Promise<void> => {
    await CALLS[call]?.(new ObjectClient(() => peer.service));
  };
  const { reached } = interposeAt(gateway.kv, at, async () => {
    await (first === "work" ? foreground() : background());
  });
  await (first === "work" ? background() : foreground());
  const met = reached();
  gateway.kv.hooks = {};
  await gateway.settle();
  await assertSound(gateway);
  for (const key of await client.keys("box")) {
    const bytes = await client.get(`box/${key}`);
    const expected = key === "c" ? [BYTES.subarray(3, 800)] : [BYTES, OTHER];
    assert.ok(
      expected.some((each) => bytes.equals(each)),
      `the bytes of ${key}`,
    );
  }
  await gateway.settle();
  await gateway.quiesce();
  await assertFullyRedundant(gateway);
  return met;
}

for (const work of Object.keys(WORKS)) {
  test(`${work}: whatever call comes into the midst of it, or it into the midst of the call, all is well`, async () => {
    for (const call of Object.keys(CALLS)) {
      for (const first of ["work", "call"] as const) await atEveryStep((at) => meet({ work, call, first }, at));
    }
  });
}
