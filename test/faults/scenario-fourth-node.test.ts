import { fourthNode } from "../scenarios/fourth-node.ts";
import { testSmall } from "../scenarios/small.ts";

testSmall(
  "a fourth node gets its share and no more, no faster than is configured, and every key is readable all the time",
  fourthNode,
);
