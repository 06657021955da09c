import { wrapNode } from "../../../../src/nodes/wrap.ts";
import { nodeLimits } from "../../../../src/nodes/wrappers/limits.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { seededRandom } from "../../../../src/shared/random.ts";
import { storageNodeContract } from "../../../contract/storage-node-contract.ts";
import { wrappedMemory } from "../wrappers/wrapped-memory.ts";

storageNodeContract("memory, wrapped", () =>
  wrappedMemory((open) => {
    const limits = nodeLimits({ writeStallMs: 10_000, readStallMs: 10_000, inflightMax: 60 });
    const observer = { started() {}, finished() {} };
    const deps = { clock: systemClock, random: seededRandom(1), limits, observer, capacityCacheMs: 60_000 };
    return wrapNode(open(), deps).node;
  }),
);
