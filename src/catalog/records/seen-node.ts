/**
 * A node as the triggers of jobs saw it last: whatever is another thing now has still to be acted on. Kept in the catalog,
 * so that what changed while nobody led is seen by the next leader.
 */
import { decodeRecord, encodeRecord } from "./codec.ts";

export interface SeenNode {
  readonly domain: string;
  /** Its weight in its domain's ring when copies were moved to it last, or less; 0 while it takes none. */
  readonly ringWeight: number;
  readonly decommissioned: boolean;
  /** Copies on it were put on record as unverified, and it has not been back since. */
  readonly unverified: boolean;
  /** As it was announced last; absent until it was known. */
  readonly capacity?: SeenCapacity;
}

export interface SeenCapacity {
  readonly totalBytes: number;
  readonly usedBytes: number;
}

const SEEN_NODE_FORMAT = 1;

export function encodeSeenNode({ domain, ringWeight, decommissioned, unverified, capacity }: SeenNode): Buffer {
  const bytes = capacity === undefined ? null : [capacity.totalBytes, capacity.usedBytes];
  return encodeRecord(SEEN_NODE_FORMAT, [domain, ringWeight, decommissioned, unverified, bytes]);
}

/** @throws RecordError */
export function decodeSeenNode(value: Uint8Array): SeenNode {
  const reader = decodeRecord("seen node", value, SEEN_NODE_FORMAT);
  const [domain, ringWeight] = [reader.string(), reader.int()];
  const [decommissioned, unverified] = [reader.bool(), reader.bool()];
  const capacity = reader.optional((fields) => ({ totalBytes: fields.int(), usedBytes: fields.int() }));
  return { domain, ringWeight, decommissioned, unverified, ...(capacity === undefined ? {} : { capacity }) };
}
