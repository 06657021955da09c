import { leaveDomain } from "../scenarios/leave-domain.ts";
import { testSmall } from "../scenarios/small.ts";

testSmall(
  "a domain of MinIO nodes is left for a new one under load: the old nodes end empty, are removed, and can be shut down",
  leaveDomain,
);
