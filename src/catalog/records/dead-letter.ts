/** A slot whose repair was given up for now: kept, with what went wrong, until an operator has it tried again. */
import { decodeRecord, encodeRecord } from "./codec.ts";
import { type BlobHome, homeFields, readHome } from "./home.ts";

/** Characters of an error's message that are kept: a node's answer may be long. */
const MESSAGE_CHARS_MAX = 500;

export interface DeadLetter {
  readonly home: BlobHome;
  /** When the slot came to want repair; wall clock, for display, as all times here. */
  readonly sinceMs: number;
  /** When it was given up. */
  readonly givenUpAtMs: number;
  readonly attempts: number;
  /** Of the last failure: the kind that a node gave, else the name of the error. */
  readonly errorKind: string;
  readonly errorMessage: string;
  /** Name of the node that the last attempt was to write to or to read; absent where it came to none. */
  readonly node?: string;
}

const DEAD_LETTER_FORMAT = 1;

export function encodeDeadLetter(letter: DeadLetter): Buffer {
  const { home, sinceMs, givenUpAtMs, attempts, errorKind, errorMessage, node } = letter;
  const message = errorMessage.slice(0, MESSAGE_CHARS_MAX);
  return encodeRecord(DEAD_LETTER_FORMAT, [
    homeFields(home),
    sinceMs,
    givenUpAtMs,
    attempts,
    errorKind,
    message,
    node ?? null,
  ]);
}

/** @throws RecordError */
export function decodeDeadLetter(value: Uint8Array): DeadLetter {
  const reader = decodeRecord("dead letter", value, DEAD_LETTER_FORMAT);
  const letter = {
    home: readHome(reader),
    sinceMs: reader.int(),
    givenUpAtMs: reader.int(),
    attempts: reader.int(),
    errorKind: reader.string(),
    errorMessage: reader.string(),
  };
  const node = reader.optionalString();
  return node === undefined ? letter : { ...letter, node };
}
