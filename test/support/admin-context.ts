/** What the admin API looks at, over a gateway in memory. */
import type { AdminContext } from "../../src/admin/cluster-views.ts";
import type { InMemoryGateway } from "./in-memory-gateway.ts";

/** Nodes of domain d0 are volumes, the others S3 endpoints. */
export function adminContext(gateway: InMemoryGateway): AdminContext {
  return {
    catalog: gateway.process.catalog,
    members: () => gateway.members,
    orphans: gateway.process.orphans,
    placeOf: (name) =>
      name.startsWith("d0")
        ? { kind: "volume", endpoint: `/disks/${name}`, locate: (key) => ({ container: `/disks/${name}`, key }) }
        : {
            kind: "s3",
            endpoint: `http://${name}:9000`,
            locate: (key) => ({ container: "bucket", key: `blobs/${key}` }),
          },
  };
}
