/** What the admin API answers about the catalog and its journal. As with api-types.ts. */
import * as z from "zod";

const count = (): z.ZodNumber => z.number().int().nonnegative();
const bytes = (): z.ZodNumber => z.number().int().nonnegative();
const time = (): z.ZodISODateTime => z.iso.datetime();
const version = (): z.ZodNumber => z.number().int().nonnegative();

export const journalSummarySchema = z
  .object({
    mode: z.enum(["sync", "async"]).meta({ description: "whether a commit is answered only when the journal has it" }),
    lag_ms: count().meta({ description: "age of the oldest commit that the journal does not have; 0 without one" }),
    lag_commits: count(),
    failure: z.string().nullable().meta({ description: "why it cannot be written now" }),
  })
  .meta({ id: "JournalSummary" });

export const snapshotSchema = z
  .object({
    state: z.enum(["none", "requested", "making"]).meta({ description: "whether one is asked for or being made" }),
    failure: z.string().nullable().meta({ description: "why the last one could not be made" }),
    newest: z
      .object({
        base: version().meta({ description: "the commit after which it was begun" }),
        made_at: time().nullable(),
      })
      .nullable()
      .meta({ description: "the newest that a quorum of domains holds whole" }),
  })
  .meta({ id: "CatalogSnapshot" });
export type CatalogSnapshot = z.infer<typeof snapshotSchema>;

export const rebuildSchema = z
  .object({
    orphans_held: z.boolean().meta({
      description: "what is on nodes and not in the catalog is kept, since a rebuild could not see all of the journal",
    }),
    reason: z.string().nullable(),
  })
  .meta({ id: "CatalogRebuild" });
export type RebuildAnswer = z.infer<typeof rebuildSchema>;

export const journalSchema = z
  .object({
    ...journalSummarySchema.shape,
    version: version().meta({ description: "the last commit of the catalog" }),
    durable_version: version().meta({ description: "the last commit that is durable in a quorum of domains" }),
    rebuildable: z
      .boolean()
      .nullable()
      .meta({ description: "the nodes hold all that a rebuild of the catalog takes; null until they were listed" }),
    domains: z.array(
      z
        .object({
          domain: z.string(),
          through: version()
            .nullable()
            .meta({ description: "the last commit to which its nodes have everything that is kept" }),
          lag_commits: count().nullable().meta({ description: "behind what is durable" }),
        })
        .meta({ id: "DomainJournal" }),
    ),
    gaps: z
      .array(z.object({ from: version(), through: version() }).meta({ id: "JournalGap" }))
      .meta({ description: "commits since the oldest kept snapshot that no node holds; at most 100 gaps" }),
    missing_commits: count().meta({ description: "in all gaps" }),
    unlisted_nodes: z.array(z.string()).meta({ description: "nodes of which it is not known yet what they hold" }),
    segments: count().meta({ description: "on the nodes, each counted once" }),
    bytes: bytes().meta({ description: "of all pieces on all nodes, snapshots included" }),
    snapshot: snapshotSchema,
    cursors: z
      .array(z.object({ name: z.string(), version: version() }).meta({ id: "Cursor" }))
      .meta({ description: "consumers of the changes, with the last commit that each is done with" }),
  })
  .meta({ id: "Journal" });
export type JournalAnswer = z.infer<typeof journalSchema>;

export const verificationSchema = z
  .object({
    status: z
      .enum(["none", "running", "ok", "findings", "failed"])
      .meta({ description: "`none` before the first; `failed`: it did not come to its end" }),
    started_at: time().nullable(),
    ended_at: time().nullable(),
    step: z
      .enum(["listing", "pieces", "replay", "entries", "copies"])
      .nullable()
      .meta({ description: "the step under way, or the last one" }),
    done: count().meta({ description: "of the step: nodes, pieces, commits, entries or nodes" }),
    total: count().nullable(),
    durable_version: version().nullable().meta({ description: "the commit up to which the journal was verified" }),
    pieces: count().meta({ description: "copies of pieces of the journal that were read" }),
    entries: count().meta({ description: "entries of the catalog that were compared with the journal" }),
    domains: z.array(
      z
        .object({
          domain: z.string(),
          through: version(),
          sufficient: z.boolean().meta({ description: "its nodes alone would do for a rebuild" }),
        })
        .meta({ id: "VerifiedDomain" }),
    ),
    nodes: z.array(
      z
        .object({
          node: z.string(),
          listed: count(),
          lost: count().meta({ description: "copies on record that the node does not hold" }),
          orphans: count(),
          unknown: count(),
          failed: count().meta({ description: "copies on record of which nothing could be learnt" }),
        })
        .meta({ id: "VerifiedNode" }),
    ),
    not_asked: z.array(z.string()).meta({ description: "nodes that could not be asked" }),
    findings: z
      .array(
        z
          .object({
            kind: z.enum(["entry-differs", "bad-piece", "not-rebuildable", "domains-insufficient", "copies-missing"]),
            message: z.string(),
          })
          .meta({ id: "Finding" }),
      )
      .meta({ description: "the first 100" }),
    finding_count: count(),
    failure: z.string().nullable(),
  })
  .meta({ id: "Verification" });
export type VerificationAnswer = z.infer<typeof verificationSchema>;

export const changesSchema = z
  .object({
    durable_version: version(),
    next: version().meta({ description: "`?after=` for the changes after these; the end is where it stays the same" }),
    changes: z.array(
      z
        .object({
          version: version(),
          writes: z.array(
            z
              .object({
                kind: z.string().meta({ description: "of record: the first element of its key" }),
                key: z
                  .array(z.union([z.string(), z.number()]))
                  .meta({ description: "the other elements; ids, copy keys and other bytes in hexadecimal" }),
                deleted: z.boolean(),
              })
              .meta({ id: "Write" }),
          ),
        })
        .meta({ id: "Change" }),
    ),
  })
  .meta({ id: "Changes" });
export type ChangesAnswer = z.infer<typeof changesSchema>;
