import { lostNode } from "../scenarios/lost-node.ts";
import { testSmall } from "../scenarios/small.ts";

testSmall(
  "one of three nodes of a domain never comes back: a standby node is promoted, every copy is made, and no client notices",
  lostNode,
);
