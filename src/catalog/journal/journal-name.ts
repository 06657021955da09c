/**
 * Names of the journal's pieces on nodes. They are kept as copies of session 0, which no writer has; what is random in
 * other copy keys says here what the piece is, so that a listing alone tells how far a node's journal reaches:
 *
 *     kind (1), version (6), number (3), session of the writer (4), random (2)
 */
import { copyKeyBytes, copyKeyFromBytes, JOURNAL_SESSION, sessionOfCopyKey } from "../../nodes/copy-key.ts";
import type { CopyKey } from "../../nodes/storage-node.ts";
import type { Random } from "../../shared/random.ts";

const KIND_AT = 4;
const VERSION_AT = 5;
const NUMBER_AT = 11;
const WRITER_AT = 14;
const NONCE_AT = 18;
const NONCE_BYTES = 2;
const KEY_BYTES = 20;

const KINDS = { segment: 1, chunk: 2, snapshot: 3 } as const;
type Kind = keyof typeof KINDS;

/** Most commits in one segment. */
export const SEGMENT_COMMITS_MAX = 0xff_ffff;

interface Named {
  /** The writer session of the process that made it. */
  readonly session: number;
}

/** Commits `from` to `through`, all of them. */
export interface SegmentName extends Named {
  readonly kind: "segment";
  readonly from: number;
  readonly through: number;
}

/** A part of the snapshot that was begun after commit `base`. */
export interface ChunkName extends Named {
  readonly kind: "chunk";
  readonly base: number;
  /** From 0 on. */
  readonly number: number;
}

/** The list of a snapshot's chunks; there is none before they are all durable. */
export interface SnapshotName extends Named {
  readonly kind: "snapshot";
  readonly base: number;
  readonly chunks: number;
}

export type JournalName = SegmentName | ChunkName | SnapshotName;

/** A fresh key for a copy of the piece: the two random bytes make that of each attempt another one. */
export function journalKey(name: JournalName, random: Random): CopyKey {
  const bytes = Buffer.alloc(KEY_BYTES);
  bytes[KIND_AT] = KINDS[name.kind];
  const [version, number] = numbersOf(name);
  bytes.writeUIntBE(version, VERSION_AT, NUMBER_AT - VERSION_AT);
  bytes.writeUIntBE(number, NUMBER_AT, WRITER_AT - NUMBER_AT);
  bytes.writeUInt32BE(name.session, WRITER_AT);
  bytes.set(random.bytes(NONCE_BYTES), NONCE_AT);
  return copyKeyFromBytes(bytes);
}

function numbersOf(name: JournalName): [version: number, number: number] {
  switch (name.kind) {
    case "segment":
      return [name.from, name.through - name.from];
    case "chunk":
      return [name.base, name.number];
    case "snapshot":
      return [name.base, name.chunks];
  }
}

/** What a key names; undefined when it is none of the journal's, or of a kind that this version does not know. */
export function journalName(key: CopyKey): JournalName | undefined {
  if (sessionOfCopyKey(key) !== JOURNAL_SESSION) return undefined;
  const bytes = copyKeyBytes(key);
  const version = bytes.readUIntBE(VERSION_AT, NUMBER_AT - VERSION_AT);
  const number = bytes.readUIntBE(NUMBER_AT, WRITER_AT - NUMBER_AT);
  const session = bytes.readUInt32BE(WRITER_AT);
  switch (kindOf(bytes[KIND_AT])) {
    case "segment":
      return { kind: "segment", from: version, through: version + number, session };
    case "chunk":
      return { kind: "chunk", base: version, number, session };
    case "snapshot":
      return { kind: "snapshot", base: version, chunks: number, session };
    case undefined:
      return undefined;
  }
}

function kindOf(byte: number | undefined): Kind | undefined {
  for (const kind of ["segment", "chunk", "snapshot"] as const) if (KINDS[kind] === byte) return kind;
  return undefined;
}
