import { memoryKv } from "../../../../src/catalog/memory/memory-kv.ts";
import { kvContract } from "../../../contract/kv-contract.ts";
import { JournalWorld } from "../../../support/journal-world.ts";

for (const sync of [true, false]) {
  kvContract(`a journaled store, ${sync ? "sync" : "async"}`, async () => {
    const world = new JournalWorld({ settings: { sync } });
    world.store = memoryKv();
    return { kv: await world.start(), dispose: () => world.stop() };
  });
}
