/** How far the scrub of a node is, and how its last full pass went. */
import type { KvKey } from "../../catalog/kv.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "../../catalog/records/codec.ts";
import { pack } from "../../catalog/tuple.ts";
import { copyKeyBytes, copyKeyFromBytes } from "../../nodes/copy-key.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import { type Id, idBytes } from "../../shared/ids.ts";
import type { RecordCodec } from "./local-record.ts";

export interface ScrubCounts {
  /** Copies on record that were come to, read or not. */
  readonly seen: number;
  /** Copies that were read whole and found right. */
  readonly verified: number;
  readonly verifiedBytes: number;
  readonly corrupt: number;
  readonly lost: number;
  /** Copies of which nothing is known: the node gave an error, or their record cannot be read. */
  readonly failed: number;
}

export interface ScrubPass extends ScrubCounts {
  /** Wall clock. */
  readonly startedAtMs: number;
  /** Asked for by an operator: as fast as the limits let it, and nothing is skipped. */
  readonly requested: boolean;
  /** Copies on record when it began. */
  readonly total: number;
}

export interface ScrubState {
  /** The pass under way; `after` is the last copy that it has done with. */
  readonly pass?: ScrubPass & { readonly after?: CopyKey };
  /** The last pass that came to its end. */
  readonly last?: ScrubPass & { readonly endedAtMs: number };
}

export const NO_COUNTS: ScrubCounts = { seen: 0, verified: 0, verifiedBytes: 0, corrupt: 0, lost: 0, failed: 0 };

export const scrubKey = (nodeUuid: Id): KvKey => pack(["local", "scrub", idBytes(nodeUuid)]);

const SCRUB_FORMAT = 1;

export const scrubCodec: RecordCodec<ScrubState> = {
  encode({ pass, last }) {
    return encodeRecord(SCRUB_FORMAT, [
      pass === undefined ? null : [passFields(pass), pass.after === undefined ? null : copyKeyBytes(pass.after)],
      last === undefined ? null : [passFields(last), last.endedAtMs],
    ]);
  },
  decode(value) {
    const reader = decodeRecord("scrub", value, SCRUB_FORMAT);
    const pass = reader.optional((fields) => {
      const own = readPass(fields.nested());
      const after = fields.optionalBytes();
      return after === undefined ? own : { ...own, after: copyKeyFromBytes(after) };
    });
    const last = reader.optional((fields) => ({ ...readPass(fields.nested()), endedAtMs: fields.int() }));
    return { ...(pass && { pass }), ...(last && { last }) };
  },
};

function passFields(pass: ScrubPass): Field[] {
  const { startedAtMs, requested, total, seen, verified, verifiedBytes, corrupt, lost, failed } = pass;
  return [startedAtMs, requested, total, seen, verified, verifiedBytes, corrupt, lost, failed];
}

function readPass(reader: RecordReader): ScrubPass {
  return {
    startedAtMs: reader.int(),
    requested: reader.bool(),
    total: reader.int(),
    seen: reader.int(),
    verified: reader.int(),
    verifiedBytes: reader.int(),
    corrupt: reader.int(),
    lost: reader.int(),
    failed: reader.int(),
  };
}
