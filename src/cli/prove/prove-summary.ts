/** What the proofs of many objects come to, in a bounded amount of memory. */
import type { CopyStates, DurabilityAnswer, ObjectProof } from "../../admin/prove/prove-types.ts";
import { addStates } from "./join-proofs.ts";

export interface ProveSummary {
  readonly kind: "summary";
  readonly objects: number;
  readonly bytes: number;
  readonly blobs: number;
  /** Objects without bytes: the catalog alone has them. */
  readonly empty_objects: number;
  readonly replication_factor: number;
  /** Objects by their good copies, and by the domains that these lie in; empty objects are in neither. */
  readonly objects_by_good_copies: Readonly<Record<string, number>>;
  readonly objects_by_domains: Readonly<Record<string, number>>;
  readonly below_policy: number;
  /** Objects with fewer good copies than `--fail-under` asks for; null without it. */
  readonly under: number | null;
  /** Objects of which no good copy is on a node that can be asked now. */
  readonly unreachable: number;
  readonly states: CopyStates;
  readonly oldest_verified_at: string | null;
  /** At most 5 % too high. */
  readonly median_verified_age_seconds: number | null;
  /** Objects with bytes of which it is not on record when all their good copies were verified. */
  readonly verification_unknown: number;
  readonly durability: DurabilityAnswer;
}

/** Ages are counted by powers of this. */
const AGE_STEP = 1.05;

export class ProveTally {
  readonly #nowMs: number;
  readonly #failUnder: number | undefined;
  readonly #ages = new Map<number, number>();
  #known = 0;
  #sums = { objects: 0, bytes: 0, blobs: 0, empty: 0, below: 0, under: 0, unreachable: 0, unknown: 0 };
  #copies = new Map<number, number>();
  #domains = new Map<number, number>();
  #states: CopyStates = { ok: 0, missing: 0, handoff: 0, unverified: 0, corrupt: 0, surplus: 0 };
  #oldest: string | null = null;

  constructor({ nowMs, failUnder }: { readonly nowMs: number; readonly failUnder: number | undefined }) {
    this.#nowMs = nowMs;
    this.#failUnder = failUnder;
  }

  /** Whether an object is less safe than is asked for. */
  fails({ good_copies, below_policy }: ObjectProof): boolean {
    return this.#failUnder === undefined ? below_policy : good_copies !== null && good_copies < this.#failUnder;
  }

  get failing(): number {
    return this.#failUnder === undefined ? this.#sums.below : this.#sums.under;
  }

  add(proof: ObjectProof): void {
    const sums = this.#sums;
    sums.objects++;
    sums.bytes += proof.size;
    sums.blobs += proof.blobs;
    this.#states = addStates(this.#states, proof.states);
    if (proof.below_policy) sums.below++;
    if (this.#failUnder !== undefined && this.fails(proof)) sums.under++;
    if (proof.reachable_copies === 0) sums.unreachable++;
    if (proof.good_copies === null || proof.domain_count === null) {
      sums.empty++;
      return;
    }
    countUp(this.#copies, proof.good_copies);
    countUp(this.#domains, proof.domain_count);
    if (proof.verified_at === null) sums.unknown++;
    else this.#addAge(proof.verified_at);
  }

  #addAge(verifiedAt: string): void {
    if (this.#oldest === null || verifiedAt < this.#oldest) this.#oldest = verifiedAt;
    const seconds = Math.max(1, (this.#nowMs - Date.parse(verifiedAt)) / 1000);
    countUp(this.#ages, Math.ceil(Math.log(seconds) / Math.log(AGE_STEP)));
    this.#known++;
  }

  summary(factor: number, durability: DurabilityAnswer): ProveSummary {
    const { objects, bytes, blobs, empty, below, under, unreachable, unknown } = this.#sums;
    return {
      kind: "summary",
      objects,
      bytes,
      blobs,
      empty_objects: empty,
      replication_factor: factor,
      objects_by_good_copies: inOrder(this.#copies),
      objects_by_domains: inOrder(this.#domains),
      below_policy: below,
      under: this.#failUnder === undefined ? null : under,
      unreachable,
      states: this.#states,
      oldest_verified_at: this.#oldest,
      median_verified_age_seconds: this.#medianSeconds(),
      verification_unknown: unknown,
      durability,
    };
  }

  #medianSeconds(): number | null {
    let count = 0;
    for (const [step, each] of [...this.#ages].sort(([a], [b]) => a - b)) {
      count += each;
      if (count * 2 >= this.#known) return Math.min(Math.round(AGE_STEP ** step), this.#oldestSeconds());
    }
    return null;
  }

  #oldestSeconds(): number {
    return this.#oldest === null ? 0 : Math.max(0, Math.round((this.#nowMs - Date.parse(this.#oldest)) / 1000));
  }
}

function countUp(counts: Map<number, number>, value: number): void {
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

function inOrder(counts: ReadonlyMap<number, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => a - b).map(([value, count]) => [String(value), count]));
}
