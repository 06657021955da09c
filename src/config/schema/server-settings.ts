/** `server.*` */
import * as z from "zod";
import { path, regionName } from "./forms.ts";
import {
  dnsName,
  duration,
  integer,
  type Leaf,
  leaf,
  listenAddress,
  originUrl,
  type Reading,
  size,
  text,
} from "./leaves.ts";
import { settingNotes } from "./setting-notes.ts";

const workerCount = (): Leaf<number> =>
  leaf("1", (written): Reading<number> => {
    if (written === 1 || written === "1") return { value: 1 };
    const several = Number(written) > 1;
    return { refused: several ? "must be 1 because several worker processes are not in this version" : true };
  });

export const serverSettings = z.strictObject({
  dataDir: path().prefault("./data").register(settingNotes, {
    meaning: "data folder: `catalog/`, `nodes/<name>/` and `keys/`, the last readable by its owner only",
    alias: "BULKHEAD_DATA_DIR",
  }),
  s3: z
    .strictObject({
      listen: listenAddress().prefault("127.0.0.1:9070").register(settingNotes, {
        meaning: "address of the S3 API; port 0 takes a free one",
        alias: "BULKHEAD_S3_LISTEN",
      }),
      publicUrl: originUrl()
        .optional()
        .register(settingNotes, { meaning: "base URL that clients use, where a proxy stands before the gateway" }),
      domain: dnsName()
        .optional()
        .register(settingNotes, { meaning: "base of virtual-hosted buckets: `bucket.DOMAIN`" }),
      region: regionName().prefault("us-east-1").register(settingNotes, { meaning: "region that clients sign for" }),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: listenAddress().prefault("127.0.0.1:9071").register(settingNotes, {
        meaning: "address of the admin API, health and metrics; port 0 takes a free one",
        alias: "BULKHEAD_ADMIN_LISTEN",
      }),
      apiKey: text("8 to 256 printable ASCII characters, no spaces", /^[!-~]{8,256}$/)
        .optional()
        .register(settingNotes, {
          meaning: "key of the admin API (`X-API-Key`)",
          alias: "BULKHEAD_ADMIN_API_KEY",
          secret: true,
          defaultNote: "generated",
        }),
    })
    .prefault({}),
  rootKey: z
    .strictObject({
      accessKey: text("an access key: 3 to 128 letters, digits, dots, hyphens and underscores", /^[\w.-]{3,128}$/)
        .optional()
        .register(settingNotes, {
          meaning: "access key of the root user, together with its secret key",
          alias: "BULKHEAD_ROOT_ACCESS_KEY",
          secret: true,
          defaultNote: "generated",
        }),
      secretKey: text("8 to 128 printable ASCII characters, no spaces", /^[!-~]{8,128}$/)
        .optional()
        .register(settingNotes, {
          meaning: "secret key of the root user",
          alias: "BULKHEAD_ROOT_SECRET_KEY",
          secret: true,
          defaultNote: "generated",
        }),
    })
    .prefault({}),
  workers: workerCount()
    .prefault(1)
    .register(settingNotes, { meaning: "worker processes; this version runs one", alias: "BULKHEAD_WORKERS" }),
  limits: z
    .strictObject({
      maxConnections: integer(1, 100_000)
        .prefault(10_000)
        .register(settingNotes, { meaning: "open connections to one port; more are refused" }),
      maxRequests: integer(1, 100_000)
        .prefault(1000)
        .register(settingNotes, { meaning: "S3 requests served at a time; more are answered SlowDown" }),
      headerBytes: size("8KiB", "1MiB")
        .prefault("32KiB")
        .register(settingNotes, { meaning: "request line and headers together" }),
      headersTimeout: duration("1s", "1h")
        .prefault("30s")
        .register(settingNotes, { meaning: "time in which a request's headers must be complete" }),
      stallTimeout: duration("1s", "1h")
        .prefault("60s")
        .register(settingNotes, { meaning: "time in which a client must send or take at least one byte of a body" }),
      keepAliveTimeout: duration("1s", "1h")
        .prefault("75s")
        .register(settingNotes, { meaning: "how long an idle connection is kept" }),
      drainTimeout: duration("0s", "1h")
        .prefault("30s")
        .register(settingNotes, { meaning: "how long a stop waits for requests under way" }),
    })
    .prefault({}),
});

export type ServerSettings = z.output<typeof serverSettings>;
