import type { CopyStates, ObjectProof } from "../../admin/prove/prove-types.ts";

/**
 * Puts the proofs of large objects, which come in pieces, together. One that is replaced or deleted while its pieces come
 * is left out: what follows is of another version, or of another object.
 */
export class ProofJoiner {
  #begun: ObjectProof | undefined;

  /** @returns the proof of a whole object, when it is complete */
  add(piece: ObjectProof): ObjectProof | undefined {
    const begun = this.#begun;
    this.#begun = undefined;
    const whole = piece.offset === 0 ? piece : begun && follows(begun, piece) ? joined(begun, piece) : undefined;
    if (whole === undefined || whole.length >= whole.size) return whole;
    this.#begun = whole;
    return undefined;
  }
}

function follows(begun: ObjectProof, { bucket, key, offset }: ObjectProof): boolean {
  return begun.bucket === bucket && begun.key === key && begun.length === offset;
}

/** The object is as safe as the less safe of the two. */
function joined(one: ObjectProof, other: ObjectProof): ObjectProof {
  return {
    ...one,
    length: one.length + other.length,
    blobs: one.blobs + other.blobs,
    good_copies: least(one.good_copies, other.good_copies),
    wanted_copies: Math.max(one.wanted_copies ?? 0, other.wanted_copies ?? 0),
    reachable_copies: least(one.reachable_copies, other.reachable_copies),
    domain_count: least(one.domain_count, other.domain_count),
    domains: one.domains.filter((domain) => other.domains.includes(domain)),
    verified_at: earliest(one, other),
    states: addStates(one.states, other.states),
    below_policy: one.below_policy || other.below_policy,
  };
}

function least(one: number | null, other: number | null): number {
  return Math.min(one ?? Number.POSITIVE_INFINITY, other ?? Number.POSITIVE_INFINITY);
}

/** Null, not known, comes before all others; but a piece without a good copy has none to be known of. */
function earliest(one: ObjectProof, other: ObjectProof): string | null {
  if (one.domain_count === 0) return other.verified_at;
  if (other.domain_count === 0) return one.verified_at;
  if (one.verified_at === null || other.verified_at === null) return null;
  return one.verified_at < other.verified_at ? one.verified_at : other.verified_at;
}

export function addStates(one: CopyStates, other: CopyStates): CopyStates {
  return {
    ok: one.ok + other.ok,
    missing: one.missing + other.missing,
    handoff: one.handoff + other.handoff,
    unverified: one.unverified + other.unverified,
    corrupt: one.corrupt + other.corrupt,
    surplus: one.surplus + other.surplus,
  };
}
