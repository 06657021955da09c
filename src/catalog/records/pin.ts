/**
 * That the copies of a blob stay on their nodes for a while, because somebody was given a URL of one of them. What the
 * pin is for, and until when, is in its key.
 */
import { type Location, locationFields, readLocation } from "./blob.ts";
import { decodeRecord, encodeRecord } from "./codec.ts";

export interface Pin {
  /** Wall clock, for display. */
  readonly createdAtMs: number;
  /** The object as it was named then, for display. */
  readonly bucket: string;
  readonly key: string;
  /** The copy that the URL leads to. */
  readonly location: Location;
  /** Its time is over; what it held goes when this is old enough by the order of commits. */
  readonly ended: boolean;
}

const PIN_FORMAT = 1;

export function encodePin({ createdAtMs, bucket, key, location, ended }: Pin): Buffer {
  return encodeRecord(PIN_FORMAT, [createdAtMs, bucket, key, locationFields(location), ended]);
}

export function decodePin(value: Uint8Array): Pin {
  const reader = decodeRecord("pin", value, PIN_FORMAT);
  return {
    createdAtMs: reader.int(),
    bucket: reader.string(),
    key: reader.string(),
    location: readLocation(reader.nested()),
    ended: reader.bool(),
  };
}
