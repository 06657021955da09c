/** `storage.nodes[]` and `storage.domains[]`. */
import * as z from "zod";
import {
  accessKey,
  bucketName,
  label,
  metricsToken,
  NODES_MAX,
  path,
  regionName,
  secretKey,
  storageId,
} from "./forms.ts";
import { flag, integer, type Leaf, leaf, originUrl, type Reading, readOrigin, text, word } from "./leaves.ts";
import { settingNotes } from "./setting-notes.ts";

export type Endpoint =
  | { readonly kind: "volume"; readonly path: string }
  | { readonly kind: "s3"; readonly url: string };

const endpoint = (): Leaf<Endpoint> =>
  leaf("volume:PATH, or http:// or https:// with a host and maybe a port", (written): Reading<Endpoint> => {
    if (typeof written !== "string") return { refused: true };
    const folder = /^volume:([^\0]+)$/.exec(written)?.[1];
    if (folder !== undefined) return { value: { kind: "volume", path: folder } };
    if (written.startsWith("bulkhead:")) {
      return { refused: "must be volume:PATH, http:// or https:// because bulkhead:// is not in this version" };
    }
    const url = readOrigin(written);
    return url === undefined ? { refused: true } : { value: { kind: "s3", url } };
  });

export const nodeSettings = z.strictObject({
  name: label()
    .optional()
    .register(settingNotes, { meaning: "unique name; also the bucket used on the node", defaultNote: "required" }),
  formerName: label().optional().register(settingNotes, {
    meaning: "name that it had before: the same node, with its copies, has another name now",
  }),
  endpoint: endpoint().optional().register(settingNotes, {
    meaning: "address of an S3 endpoint, or `volume:PATH` for an embedded node in that folder",
    defaultNote: "required",
  }),
  faultDomain: label()
    .optional()
    .register(settingNotes, { meaning: "the active or standby domain that it stands in", defaultNote: "required" }),
  accessKey: accessKey().optional().register(settingNotes, {
    meaning: "access key for an S3 endpoint; a volume has none",
    secret: true,
    defaultNote: "`storage.accessKey`",
  }),
  secretKey: secretKey().optional().register(settingNotes, {
    meaning: "secret key for an S3 endpoint",
    secret: true,
    defaultNote: "`storage.secretKey`",
  }),
  bucket: bucketName()
    .optional()
    .register(settingNotes, { meaning: "bucket on an S3 endpoint", defaultNote: "the node's name" }),
  region: regionName().prefault("us-east-1").register(settingNotes, { meaning: "region that requests are signed for" }),
  caFile: path()
    .optional()
    .register(settingNotes, { meaning: "PEM file of the authority that signed an https endpoint's certificate" }),
  externalEndpoint: originUrl().optional().register(settingNotes, {
    meaning: "endpoint that URLs of this node are signed for",
    defaultNote: "the domain's, else `storage.external-endpoint`",
  }),
  weight: integer(0, 10_000)
    .prefault(100)
    .register(settingNotes, { meaning: "share of its domain's ring; 0 takes no new copies" }),
  enabled: flag().prefault(true).register(settingNotes, { meaning: "whether it stands in the ring" }),
  metricsPath: text("a path that begins with a slash", /^\/[!-~]{0,1023}$/)
    .prefault("/minio/v2/metrics/node")
    .register(settingNotes, { meaning: "where its metrics are scraped" }),
  metricsToken: metricsToken()
    .optional()
    .register(settingNotes, { meaning: "bearer token for its metrics", secret: true }),
  physicalStorageId: storageId()
    .optional()
    .register(settingNotes, { meaning: "two copies never share one", defaultNote: "the node's name" }),
  host: storageId().optional().register(settingNotes, {
    meaning: "two copies share none where there are several",
    defaultNote: "the endpoint's host; this machine for volumes",
  }),
  rack: storageId().optional().register(settingNotes, { meaning: "rack, for display" }),
  diskType: word(["ssd", "hdd", "nvme", "unknown"])
    .prefault("unknown")
    .register(settingNotes, { meaning: "kind of disk; found out where possible" }),
  indexPath: path().optional().register(settingNotes, {
    meaning: "folder of a volume's index, which may lie on another disk",
    defaultNote: "in the volume",
  }),
});

export const domainSettings = z.strictObject({
  name: label()
    .optional()
    .register(settingNotes, { meaning: "an active domain or the standby domain", defaultNote: "required" }),
  minNodes: integer(0, NODES_MAX).optional().register(settingNotes, {
    meaning: "healthy nodes below which a standby node is promoted",
    defaultNote: "1 (standby: 0)",
  }),
  replicaCount: integer(0, 16).optional().register(settingNotes, {
    meaning: "copies inside the domain, on distinct nodes and, where possible, hosts",
    defaultNote: "1 (standby: 0)",
  }),
  acceptsWrites: flag().optional().register(settingNotes, {
    meaning: "false on an active domain: serves reads and deletes, takes no copies, does not count for the factor",
    defaultNote: "true (standby: false)",
  }),
  externalEndpoint: originUrl().optional().register(settingNotes, {
    meaning: "endpoint that URLs of its nodes are signed for",
    defaultNote: "`storage.external-endpoint`",
  }),
});

export type NodeSettings = z.output<typeof nodeSettings>;
export type DomainSettings = z.output<typeof domainSettings>;

/** Whether a node's name can be its bucket's as well. */
export function validBucketName(name: string): boolean {
  return bucketName().safeParse(name).success;
}
