/** What a gateway in memory knows of nodes that are lost, and puts on record of them. */
import { silentLogger } from "../../src/observability/logger.ts";
import { AbsentNodes } from "../../src/replication/repair/absent-nodes.ts";
import { LostNodes } from "../../src/replication/repair/lost-nodes.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";

export interface Absence {
  readonly isLost: (nodeUuid: string) => boolean;
  /** Looks at the nodes, and puts the copies of those that are lost on record. @returns how many */
  readonly look: () => Promise<number>;
}

export function absenceIn(gateway: InMemoryGateway): Absence {
  const { catalog, ledger } = gateway.process;
  const { clock } = gateway;
  const members = () => gateway.members;
  const lost = new LostNodes(members);
  const isLost = (nodeUuid: string): boolean => lost.isLost(nodeUuid);
  const absent = new AbsentNodes({ catalog, members, ledger, isLost, clock, logger: silentLogger });
  return {
    isLost,
    look() {
      lost.observe();
      return absent.run(new AbortController().signal);
    },
  };
}
