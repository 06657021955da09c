/**
 * Every setting: its place, form, default and meaning. The reader, the environment's names and docs/configuration.md
 * all come from here. Names are in camel case; load-config.ts reads them in kebab case as well.
 *
 * Nothing is required here, even where a node cannot do without: what is missing is found by check.ts, so that it is
 * reported together with everything else.
 */
import * as z from "zod";
import { coordinatorSettings } from "./coordinator-settings.ts";
import { eventSettings } from "./event-settings.ts";
import { duration, type Leaf, leaf, type Reading, size, word } from "./leaves.ts";
import { serverSettings } from "./server-settings.ts";
import { settingNotes } from "./setting-notes.ts";
import { storageSettings } from "./storage-settings.ts";

/** `path` is absent where the store lies in the data folder. */
export type CatalogUrl = { readonly kind: "lmdb"; readonly path?: string } | { readonly kind: "memory" };

const catalogUrl = (): Leaf<CatalogUrl> =>
  leaf("lmdb:, lmdb:PATH or memory:", (written): Reading<CatalogUrl> => {
    if (written === "lmdb:") return { value: { kind: "lmdb" } };
    if (written === "memory:") return { value: { kind: "memory" } };
    if (typeof written !== "string") return { refused: true };
    if (/^postgres(ql)?:/.test(written)) {
      return { refused: "must be lmdb: or memory: because PostgreSQL is not in this version" };
    }
    const folder = /^lmdb:(?!\/\/)(.+)$/.exec(written)?.[1];
    return folder === undefined ? { refused: true } : { value: { kind: "lmdb", path: folder } };
  });

export const settingsSchema = z.strictObject({
  server: serverSettings.prefault({}),
  catalog: z
    .strictObject({
      url: catalogUrl().prefault("lmdb:").register(settingNotes, {
        meaning:
          "`lmdb:` (folder `catalog` of the data folder), `lmdb:PATH`, or `memory:` (forgets everything when it stops)",
        secret: true,
      }),
      journal: word(["auto", "sync", "async"]).prefault("auto").register(settingNotes, {
        meaning:
          "whether a commit is answered when the journal on the nodes has it (`sync`) or up to a second before (`async`); `auto`: `sync` where all nodes of the active domains are volumes",
      }),
      journalTimeout: duration("1s", "5min").prefault("10s").register(settingNotes, {
        meaning: "how long a commit waits for the journal before its outcome is unknown to the client",
      }),
      snapshotInterval: duration("1min", "30d").prefault("24h").register(settingNotes, {
        meaning: "how often the whole catalog is written to the nodes, if it changed",
      }),
      snapshotAfter: size("1MiB", "1TiB").prefault("256MiB").register(settingNotes, {
        meaning: "bytes of journal after which that is done sooner",
      }),
    })
    .prefault({}),
  coordinator: coordinatorSettings.prefault({}),
  storage: storageSettings.prefault({}),
  events: eventSettings.prefault({}),
  log: z
    .strictObject({
      level: word(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
        .prefault("info")
        .register(settingNotes, { meaning: "least severe level that is logged" }),
    })
    .prefault({}),
});

/** What was written, with defaults for what was not. */
export type Settings = z.output<typeof settingsSchema>;
