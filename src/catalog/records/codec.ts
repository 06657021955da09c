/**
 * How records become bytes: one byte of format, then a MessagePack array whose fields have fixed places. A later
 * version may add fields at the end (a reader ignores what it does not know) or raise the format where the meaning
 * of a place changes; a record of a higher format is refused, never guessed at.
 */
import { Packr } from "msgpackr";
import { ID_BYTES, type Id, idFromBytes } from "../../shared/ids.ts";

export type Field = null | boolean | number | string | Uint8Array | readonly Field[];

// useRecords would tie a value to a dictionary kept elsewhere; positional arrays stand alone.
const packr = new Packr({ useRecords: false });

/** A record that cannot be read: damaged, or written by a later version. */
export class RecordError extends Error {
  constructor(record: string, reason: string, options?: ErrorOptions) {
    super(`cannot read a ${record} record: ${reason}`, options);
    this.name = "RecordError";
  }
}

export function encodeRecord(format: number, fields: readonly Field[]): Buffer {
  const body = packr.pack(fields);
  const out = Buffer.allocUnsafe(1 + body.length);
  out[0] = format;
  out.set(body, 1);
  return out;
}

/**
 * A reader over the fields of a record.
 * @param record its name, for errors
 * @param formatMax the highest format that the caller reads
 * @throws RecordError
 */
export function decodeRecord(record: string, value: Uint8Array, formatMax: number): RecordReader {
  const format = value[0];
  if (format === undefined) throw new RecordError(record, "it is empty");
  if (format > formatMax)
    throw new RecordError(record, `it has format ${format}, this version reads up to ${formatMax}`);
  let fields: unknown;
  try {
    fields = packr.unpack(value.subarray(1));
  } catch (error) {
    throw new RecordError(record, "it is damaged", { cause: error });
  }
  if (!Array.isArray(fields)) throw new RecordError(record, "it is no list of fields");
  return new RecordReader(record, fields);
}

/** Reads positional fields one after the other, checking the type of each. Missing fields at the end read as null. */
export class RecordReader {
  readonly #record: string;
  readonly #fields: readonly unknown[];
  #at = 0;

  constructor(record: string, fields: readonly unknown[]) {
    this.#record = record;
    this.#fields = fields;
  }

  fail(reason: string): RecordError {
    return new RecordError(this.#record, `${reason} (field ${this.#at - 1})`);
  }

  int(): number {
    const value = this.#next();
    if (typeof value === "bigint") return Number(value);
    if (typeof value !== "number") throw this.fail("a number was expected");
    return value;
  }

  bool(): boolean {
    const value = this.#next();
    if (typeof value !== "boolean") throw this.fail("a boolean was expected");
    return value;
  }

  string(): string {
    const value = this.#next();
    if (typeof value !== "string") throw this.fail("a string was expected");
    return value;
  }

  /** A copy: what msgpackr returns aliases the record's buffer. */
  bytes(): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array)) throw this.fail("bytes were expected");
    return Uint8Array.prototype.slice.call(value);
  }

  /** A string that is one of a few. */
  oneOf<T extends string>(known: readonly T[]): T {
    const value = this.string();
    const found = known.find((candidate) => candidate === value);
    if (found === undefined) throw this.fail("a name that this version does not know");
    return found;
  }

  /** A value kept as its place in a list that only ever grows at its end. */
  indexOf<T>(known: readonly T[]): T {
    const found = known[this.int()];
    if (found === undefined) throw this.fail("a code that this version does not know");
    return found;
  }

  id(): Id {
    const value = this.bytes();
    if (value.length !== ID_BYTES) throw this.fail("an id was expected");
    return idFromBytes(value);
  }

  optionalString(): string | undefined {
    return this.#nullable(() => this.string());
  }

  optionalBytes(): Uint8Array | undefined {
    return this.#nullable(() => this.bytes());
  }

  optionalBool(): boolean | undefined {
    return this.#nullable(() => this.bool());
  }

  optionalInt(): number | undefined {
    return this.#nullable(() => this.int());
  }

  /** A nested list of fields, or `undefined` where it is null. */
  optional<T>(read: (reader: RecordReader) => T): T | undefined {
    return this.#nullable(() => read(this.nested()));
  }

  /** A list each of whose elements is a list of fields. */
  list<T>(read: (reader: RecordReader) => T): T[] {
    const value = this.#next();
    if (!Array.isArray(value)) throw this.fail("a list was expected");
    return value.map((element) => {
      if (!Array.isArray(element)) throw this.fail("a list of lists was expected");
      return read(new RecordReader(this.#record, element));
    });
  }

  nested(): RecordReader {
    const value = this.#next();
    if (!Array.isArray(value)) throw this.fail("a list was expected");
    return new RecordReader(this.#record, value);
  }

  #next(): unknown {
    return this.#fields[this.#at++] ?? null;
  }

  #nullable<T>(read: () => T): T | undefined {
    const value = this.#fields[this.#at] ?? null;
    if (value !== null) return read();
    this.#at++;
    return undefined;
  }
}
