/** The admin API's answers about repair and its dead letters; see api-types.ts for the conventions. */
import * as z from "zod";

export const REPAIR_PATHS = {
  repair: "/api/v1/storage/cluster/repair",
  /** Followed by `/{blob_id}/{slot}` for one of them. */
  deadLetters: "/api/v1/storage/cluster/dead-letters",
  replay: "/api/v1/storage/cluster/dead-letters/replay",
} as const;

export const DEAD_LETTERS_PAGE_MAX = 1_000;

const count = (): z.ZodNumber => z.number().int().nonnegative();
const time = (): z.ZodISODateTime => z.iso.datetime();
const blobId = (): z.ZodString => z.string().regex(/^[0-9a-f]{32}$/, "32 hexadecimal digits");

export const repairStatusSchema = z
  .object({
    running: z.boolean(),
    started_at: time().nullable().meta({ description: "of the run under way, else of the last one of this process" }),
    ended_at: time().nullable(),
    waiting: count().meta({ description: "copies that this run passed over: no node can take or give them now" }),
    restored: count().meta({ description: "copies made good since the gateway started" }),
    failed: count().meta({ description: "attempts that failed since the gateway started" }),
    missing: count(),
    handoff: count(),
    unverified: count(),
    corrupt: count(),
    dead_letters: count(),
    more: z.boolean().meta({ description: "there is more than was counted" }),
    oldest_missing_since: time().nullable(),
  })
  .meta({ id: "RepairStatus" });
export type RepairStatus = z.infer<typeof repairStatusSchema>;

export const deadLetterSchema = z
  .object({
    blob_id: blobId(),
    slot: count(),
    state: z.enum(["ok", "missing", "handoff", "unverified", "corrupt", "surplus"]),
    domain: z.string().meta({ description: "the fault domain that the copy belongs to" }),
    since: time().meta({ description: "when the slot came to want repair" }),
    given_up_at: time(),
    attempts: count(),
    error_kind: z.string().meta({ description: "of the last attempt" }),
    error: z.string(),
    node: z.string().nullable().meta({ description: "that the last attempt was at" }),
    bucket_id: z.string().nullable().meta({ description: "of the object, where the blob belongs to one alone" }),
    key: z.string().nullable(),
  })
  .meta({ id: "DeadLetter" });
export type DeadLetterAnswer = z.infer<typeof deadLetterSchema>;

export const deadLettersSchema = z
  .object({
    dead_letters: z.array(deadLetterSchema),
    next: z.string().nullable().meta({ description: "`?after=` for those that follow, if there are more" }),
  })
  .meta({ id: "DeadLetters" });
export type DeadLettersAnswer = z.infer<typeof deadLettersSchema>;

export const deadLettersQuerySchema = z.object({
  after: z
    .string()
    .regex(/^[0-9a-f]{32}\/\d{1,4}$/, "what `next` said")
    .optional(),
  limit: z.coerce.number().int().min(1).max(DEAD_LETTERS_PAGE_MAX).default(100),
});

/** One of them, or, without both, all. */
export const replayRequestSchema = z
  .strictObject({ blob_id: blobId().optional(), slot: count().optional() })
  .refine((request) => (request.blob_id === undefined) === (request.slot === undefined), {
    error: "blob_id and slot go together",
  })
  .meta({ id: "ReplayRequest" });

export const replaySchema = z
  .object({
    replayed: count(),
    more: z.boolean().meta({ description: "there were too many for one call: call again" }),
  })
  .meta({ id: "Replay" });
export type ReplayAnswer = z.infer<typeof replaySchema>;
