/** How the comparison of a node with the catalog went, and what else was found on the node. */
import type { KvKey } from "../../catalog/kv.ts";
import { decodeRecord, encodeRecord, type Field, type RecordReader } from "../../catalog/records/codec.ts";
import { pack } from "../../catalog/tuple.ts";
import { copyKeyBytes, copyKeyFromBytes } from "../../nodes/copy-key.ts";
import type { CopyKey, ForeignReport } from "../../nodes/storage-node.ts";
import { type Id, idBytes } from "../../shared/ids.ts";
import type { RecordCodec } from "./local-record.ts";

export interface ComparisonPass {
  /** Wall clock. */
  readonly startedAtMs: number;
  /** Copies that the node listed. */
  readonly listed: number;
  /** Copies on record that the node is certain not to hold; they are on record as bad now. */
  readonly lost: number;
  /** Copies of ended sessions that nothing names: the orphan collector's to remove. */
  readonly orphans: number;
  /** Copies of other sessions that nothing names: writes under way, and what such writes left. Only counted. */
  readonly unknown: number;
  /** Copies on record of which nothing is known: the node gave an error, or their record cannot be read. */
  readonly failed: number;
}

export interface ComparisonState {
  /** The one under way; `after` is the last key that it has done with. */
  readonly pass?: ComparisonPass & { readonly after?: CopyKey };
  /** The last that came to its end. */
  readonly last?: ComparisonPass & { readonly endedAtMs: number };
  readonly foreign?: ForeignReport & { readonly checkedAtMs: number };
}

export const comparisonKey = (nodeUuid: Id): KvKey => pack(["local", "comparison", idBytes(nodeUuid)]);

const COMPARISON_FORMAT = 1;

export const comparisonCodec: RecordCodec<ComparisonState> = {
  encode({ pass, last, foreign }) {
    return encodeRecord(COMPARISON_FORMAT, [
      pass === undefined ? null : [passFields(pass), pass.after === undefined ? null : copyKeyBytes(pass.after)],
      last === undefined ? null : [passFields(last), last.endedAtMs],
      foreign === undefined
        ? null
        : [foreign.names.map((name) => [name]), foreign.count, foreign.more, foreign.checkedAtMs],
    ]);
  },
  decode(value) {
    const reader = decodeRecord("comparison", value, COMPARISON_FORMAT);
    const pass = reader.optional((fields) => {
      const own = readPass(fields.nested());
      const after = fields.optionalBytes();
      return after === undefined ? own : { ...own, after: copyKeyFromBytes(after) };
    });
    const last = reader.optional((fields) => ({ ...readPass(fields.nested()), endedAtMs: fields.int() }));
    const foreign = reader.optional((fields) => ({
      names: fields.list((name) => name.string()),
      count: fields.int(),
      more: fields.bool(),
      checkedAtMs: fields.int(),
    }));
    return { ...(pass && { pass }), ...(last && { last }), ...(foreign && { foreign }) };
  },
};

function passFields({ startedAtMs, listed, lost, orphans, unknown, failed }: ComparisonPass): Field[] {
  return [startedAtMs, listed, lost, orphans, unknown, failed];
}

function readPass(reader: RecordReader): ComparisonPass {
  return {
    startedAtMs: reader.int(),
    listed: reader.int(),
    lost: reader.int(),
    orphans: reader.int(),
    unknown: reader.int(),
    failed: reader.int(),
  };
}
