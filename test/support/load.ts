import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { bytesOf, type Content, type Ledger } from "./ledger.ts";
import { type Seeded, seeded } from "./seeded.ts";
import { MIB } from "./sizes.ts";

export type Operation = "put" | "get" | "delete" | "multipart";

export interface LoadOptions {
  readonly client: S3Client;
  readonly bucket: string;
  readonly ledger: Ledger;
  readonly seed: number;
  /** Clients at the same time, each with keys of its own. */
  readonly writers: number;
  readonly keysPerWriter: number;
  /** Shares of each operation; they need not sum to anything. */
  readonly mix: Readonly<Partial<Record<Operation, number>>>;
  /** The load ends after this many operations. */
  readonly operations: number;
  /** Called after each acknowledged operation with how many there were. */
  readonly onProgress?: (acknowledged: number) => void;
  /** A failed operation normally fails the load. Where this returns true the load ends quietly instead. */
  readonly mayFail?: () => boolean;
}

/** Object sizes around the limits that matter: nothing, less and more than a block of 256 KiB, several blocks. */
const SIZES = [0, 1, 100, 4096, 4096, 20_000, 65_536, 262_143, 262_144, 262_145, MIB, 3 * MIB] as const;

/** Runs random operations and notes in the ledger what was tried and what was acknowledged. */
export async function runLoad(options: LoadOptions): Promise<number> {
  let begun = 0;
  let acknowledged = 0;
  let stopped = false;
  const writer = async (number: number): Promise<void> => {
    const choices = seeded(options.seed + number * 7919);
    while (!stopped && begun < options.operations) {
      begun++;
      const key = `writer-${number}/key-${choices.below(options.keysPerWriter)}`;
      try {
        await OPERATIONS[pickOperation(options.mix, choices)](options, key, {
          seed: options.seed + number * 1_000_003 + begun,
          length: choices.pick(SIZES),
        });
      } catch (error) {
        stopped = true;
        if (options.mayFail?.() === true) return;
        throw new Error(`operation ${begun} on ${key} failed`, { cause: error });
      }
      acknowledged++;
      options.onProgress?.(acknowledged);
    }
  };
  const writers = await Promise.allSettled(Array.from({ length: options.writers }, (_, number) => writer(number)));
  for (const outcome of writers) if (outcome.status === "rejected") throw outcome.reason;
  return acknowledged;
}

/** Reads every key of the ledger, and the listing, and checks both. Returns how many objects there are. */
export async function verifyAll({
  client,
  bucket,
  ledger,
}: Pick<LoadOptions, "client" | "bucket" | "ledger">): Promise<number> {
  for (const key of ledger.keys()) ledger.observed(key, await read(client, bucket, key));
  const listed: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket })) {
    for (const { Key } of page.Contents ?? []) if (Key !== undefined) listed.push(Key);
  }
  const expected = ledger.presentKeys();
  const missing = expected.filter((key) => !listed.includes(key));
  const surplus = listed.filter((key) => !expected.includes(key));
  if (missing.length + surplus.length > 0 || listed.length !== expected.length) {
    throw new Error(
      `the listing lacks ${missing.join(", ") || "nothing"}; it has besides ${surplus.join(", ") || "nothing"}`,
    );
  }
  return expected.length;
}

export async function read(client: S3Client, Bucket: string, Key: string): Promise<Uint8Array | "absent"> {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body?.transformToByteArray()) ?? new Uint8Array(0);
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === "NoSuchKey") return "absent";
    throw new Error(`reading ${Key} failed`, { cause: error });
  }
}

const OPERATIONS: Readonly<Record<Operation, (options: LoadOptions, key: string, content: Content) => Promise<void>>> =
  {
    async put({ client, bucket, ledger }, Key, content) {
      ledger.attempted(Key, content);
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: bytesOf(content) }));
      ledger.acknowledged(Key, content);
    },

    async get({ client, bucket, ledger }, Key) {
      ledger.observed(Key, await read(client, bucket, Key));
    },

    async delete({ client, bucket, ledger }, Key) {
      ledger.attempted(Key, "absent");
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
      ledger.acknowledged(Key, "absent");
    },

    async multipart({ client, bucket, ledger }, Key, small) {
      // One upload in four has a second part, which makes the first at least 5 MiB.
      const content = small.seed % 4 === 0 ? { seed: small.seed, length: 5 * MIB + small.length } : small;
      const bytes = bytesOf(content);
      const pieces = bytes.length > 5 * MIB ? [bytes.subarray(0, 5 * MIB), bytes.subarray(5 * MIB)] : [bytes];
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
      if (small.seed % 7 === 0) {
        await client.send(
          new UploadPartCommand({ Bucket: bucket, Key, UploadId, PartNumber: 1, Body: bytes.subarray(0, 9) }),
        );
        await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
        return;
      }
      const Parts = [];
      for (const [index, Body] of pieces.entries()) {
        const PartNumber = index + 1;
        const { ETag } = await client.send(new UploadPartCommand({ Bucket: bucket, Key, UploadId, PartNumber, Body }));
        Parts.push({ PartNumber, ETag });
      }
      ledger.attempted(Key, content);
      await client.send(
        new CompleteMultipartUploadCommand({ Bucket: bucket, Key, UploadId, MultipartUpload: { Parts } }),
      );
      ledger.acknowledged(Key, content);
    },
  };

function pickOperation(mix: LoadOptions["mix"], choices: Seeded): Operation {
  const shares = Object.entries(mix) as [Operation, number][];
  let left = choices.next() * shares.reduce((sum, [, share]) => sum + share, 0);
  for (const [operation, share] of shares) {
    left -= share;
    if (left < 0) return operation;
  }
  throw new RangeError("a mix of no operations");
}
