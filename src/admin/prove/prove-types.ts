/** What the admin API answers about the proof of every object's copies. As with api-types.ts. */
import * as z from "zod";

export const PROVE_PATHS = {
  prove: "/api/v1/prove",
  durability: "/api/v1/storage/cluster/durability",
} as const;

/** Objects in one answer. */
export const PROVE_LIMIT_MAX = 1_000;

export const PROVE_PARAMETERS = [
  { name: "bucket", in: "query", required: false, schema: { type: "string" } },
  { name: "prefix", in: "query", required: false, schema: { type: "string" } },
  { name: "after", in: "query", required: false, schema: { type: "string" } },
  { name: "limit", in: "query", required: false, schema: { type: "integer", minimum: 1, maximum: PROVE_LIMIT_MAX } },
] as const;

const count = (): z.ZodNumber => z.number().int().nonnegative();
const bytes = (): z.ZodNumber => z.number().int().nonnegative();
const seconds = (): z.ZodNumber => z.number().nonnegative();
const time = (): z.ZodISODateTime => z.iso.datetime();

export const copyStatesSchema = z
  .object({
    ok: count(),
    missing: count(),
    handoff: count(),
    unverified: count(),
    corrupt: count(),
    surplus: count(),
  })
  .meta({ id: "CopyStates", description: "copies by their state on record, of all blobs together" });
export type CopyStates = z.infer<typeof copyStatesSchema>;

export const objectProofSchema = z
  .object({
    bucket: z.string(),
    key: z.string(),
    version_id: z.string(),
    size: bytes(),
    offset: bytes().meta({ description: "first byte of the object that this proof is of" }),
    length: bytes().meta({
      description: "bytes that it is of; less than `size` where the object has more blobs than one answer looks at",
    }),
    blobs: count(),
    good_copies: count().nullable().meta({ description: "of the blob that has the fewest; null without a blob" }),
    wanted_copies: count().nullable().meta({ description: "of the blob that is to have the most" }),
    reachable_copies: count().nullable().meta({
      description: "good copies on nodes that can be asked now, of the blob that has the fewest",
    }),
    domain_count: count().nullable().meta({ description: "domains with a good copy, of the blob that has the fewest" }),
    domains: z.array(z.string()).meta({ description: "domains each of which has a good copy of every blob" }),
    verified_at: time().nullable().meta({
      description: "the longest ago that a good copy was last read whole or made; null where that is not known of one",
    }),
    states: copyStatesSchema,
    below_policy: z.boolean().meta({
      description: "a blob has fewer good copies than it is to have, or in fewer domains than the replication factor",
    }),
  })
  .meta({ id: "ObjectProof" });
export type ObjectProof = z.infer<typeof objectProofSchema>;

export const provePageSchema = z
  .object({
    replication_factor: count(),
    objects: z.array(objectProofSchema).meta({ description: "in the order of buckets and keys" }),
    next: z.string().nullable().meta({ description: "`?after=` for what follows; null at the end" }),
  })
  .meta({ id: "ProvePage" });
export type ProvePage = z.infer<typeof provePageSchema>;

export const verifiedAgesSchema = z
  .object({
    node: z.string(),
    domain: z.string(),
    pass_ended_at: time(),
    copies: count().meta({ description: "good copies on record on the node" }),
    never_verified: count().meta({ description: "those of which it is not on record when they were verified" }),
    median_age_seconds: seconds().nullable().meta({ description: "an upper bound, by the metric's buckets" }),
    oldest_age_seconds: seconds().nullable(),
  })
  .meta({ id: "VerifiedAges", description: "how long ago the copies on a node were verified, by the last daily pass" });
export type VerifiedAgesAnswer = z.infer<typeof verifiedAgesSchema>;

export const durabilitySchema = z
  .object({
    copies: count().meta({
      description: "copies, each on another node, that the estimate is for: those of the policy",
    }),
    annual_failure_rate: z.number().min(0).max(1).meta({ description: "of a node, as configured" }),
    restored_copies: count().meta({ description: "copies made anew that the mean time to restore was measured on" }),
    mean_time_to_restore_seconds: seconds().nullable().meta({
      description: "from a copy's loss being on record until another one stood; null: not measured yet",
    }),
    mean_time_to_loss_years: z.number().nonnegative().nullable().meta({ description: "of one object" }),
    annual_loss_probability: z.number().min(0).max(1).nullable().meta({ description: "of one object" }),
    nodes: z.array(verifiedAgesSchema),
  })
  .meta({ id: "Durability", description: "an estimate by a model whose assumptions docs/operations/prove.md tells" });
export type DurabilityAnswer = z.infer<typeof durabilitySchema>;
