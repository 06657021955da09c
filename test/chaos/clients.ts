/**
 * Clients that call the gateway all at once on keys that they share, and note what they called and what they saw, for
 * the check of linearizability that the simulation uses (test/simulation/linearizability.ts).
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { Finding, History } from "../simulation/history.ts";
import { ABSENT, type Way } from "../simulation/linearizability.ts";
import { patternBytes } from "../support/files.ts";
import type { Content } from "../support/ledger.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { MIB } from "../support/sizes.ts";

export const BUCKET = "chaos";
const KEYS = 24;
/** Around the limits that matter: empty, small, more than a block of 256 KiB, several blocks. */
const SIZES = [0, 1, 700, 4_096, 4_096, 65_536, 262_145, 3 * MIB] as const;
const PART_BYTES = 5 * MIB;
/** After a call that was refused. */
const PAUSE_MS = 50;

export interface Answers {
  /** Answered as they were meant to. */
  ok: number;
  /** Told to try again, or not answered. */
  refused: number;
}

export interface ClientOptions {
  readonly client: S3Client;
  readonly history: History;
  /** What an ETag stands for: noted before anything with it is sent. */
  readonly contents: Map<string, Content>;
  readonly seed: number;
  readonly number: number;
  readonly answers: Answers;
  readonly stopped: () => boolean;
  readonly violation: (what: string) => void;
  /** A body was stored. @param begunAtMs `performance.now()` of the call */
  readonly stored: (label: string, begunAtMs: number) => void;
  /** The gateway's clock may be off that of its clients. */
  readonly mayBeSkewed: () => boolean;
  /** A call was refused. @param begunAtMs `performance.now()` of the call */
  readonly refused: (label: string, error: unknown, begunAtMs: number) => void;
}

/** Calls until it is stopped. */
export async function runClient(options: ClientOptions): Promise<void> {
  const caller = new Caller(options);
  while (!options.stopped()) {
    const { refused } = options.answers;
    await caller.next();
    // A gateway that is down answers at once.
    if (options.answers.refused > refused) await sleep(PAUSE_MS);
  }
}

/** Reads every key once, and the listing. @throws what the gateway answers */
export async function readEverything(options: ClientOptions): Promise<void> {
  const caller = new Caller(options);
  for (let number = 0; number < KEYS; number++) await caller.get(keyOf(number), true);
  await caller.list("", true);
}

function keyOf(number: number): string {
  return `${number % 3 === 0 ? "a/" : "b/"}key ${number}`;
}

interface CallTraits {
  /** What may have happened where no answer tells. */
  readonly maybe?: readonly Finding[];
  /** It must be answered as it is meant to. */
  readonly must?: boolean;
  /** Where it is answered so, bytes were stored. */
  readonly storesBytes?: boolean;
}

const WRITES_ANYTHING = { is: "anything" } as const;

class Caller {
  readonly #options: ClientOptions;
  readonly #choices: Seeded;
  #writes = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#choices = seeded(options.seed + options.number * 7_919);
  }

  next(): Promise<void> {
    const key = keyOf(this.#choices.below(KEYS));
    const drawn = this.#choices.next();
    if (drawn < 0.3) return this.#put(key);
    if (drawn < 0.62) return this.get(key);
    if (drawn < 0.7) return this.#head(key);
    if (drawn < 0.8) return this.#delete(key);
    if (drawn < 0.87) return this.list(this.#choices.pick(["", "a/", "b/"]));
    if (drawn < 0.93) return this.#putIfAbsent(key);
    if (drawn < 0.97) return this.#copy(key, keyOf(this.#choices.below(KEYS)));
    return this.#multipart(key);
  }

  async get(key: string, must = false): Promise<void> {
    await this.#call(`get ${key}`, { must }, async (client) => {
      const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array(0);
      const written = this.#options.contents.get(ETag ?? "");
      if (written === undefined || !patternBytes(written.length, written.seed).equals(bytes)) {
        this.#options.violation(`get ${key} gave ${bytes.length} bytes that are not those of ${ETag} (I1)`);
      }
      return [found(key, ETag)];
    });
  }

  async list(prefix: string, must = false): Promise<void> {
    await this.#call(`list ${prefix}`, { must }, async (client) => {
      const answer = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
      const etags = new Map(answer.Contents?.map(({ Key, ETag }) => [Key, ETag]));
      const keys = Array.from({ length: KEYS }, (_, number) => keyOf(number));
      return keys.filter((key) => key.startsWith(prefix)).map((key) => found(key, etags.get(key)));
    });
  }

  async #head(key: string): Promise<void> {
    await this.#call(`head ${key}`, {}, async (client) => {
      const { ETag } = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
      return [found(key, ETag)];
    });
  }

  async #put(key: string): Promise<void> {
    const { bytes, etag } = this.#content(this.#choices.pick(SIZES));
    const ways: Way[] = [{ need: WRITES_ANYTHING, sets: etag }];
    await this.#call(`put ${key}`, { maybe: [{ path: key, ways }], storesBytes: bytes.length > 0 }, async (client) => {
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes }));
      return [{ path: key, ways }];
    });
  }

  async #putIfAbsent(key: string): Promise<void> {
    const { bytes, etag } = this.#content(4_096);
    const made: Way = { need: { is: "absent" }, sets: etag };
    const kept: Way = { need: { is: "present" } };
    await this.#call(`put ${key} if absent`, { maybe: [{ path: key, ways: [made, kept] }] }, async (client) => {
      try {
        await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes, IfNoneMatch: "*" }));
        return [{ path: key, ways: [made] }];
      } catch (error) {
        if (statusOf(error) !== 412) throw error;
        return [{ path: key, ways: [kept] }];
      }
    });
  }

  async #delete(key: string): Promise<void> {
    const ways: Way[] = [{ need: WRITES_ANYTHING, sets: ABSENT }];
    await this.#call(`delete ${key}`, { maybe: [{ path: key, ways }] }, async (client) => {
      await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
      return [{ path: key, ways }];
    });
  }

  /** Of an object that this client has just written under another key: what is copied is known then. */
  async #copy(from: string, to: string): Promise<void> {
    const { bytes, etag } = this.#content(700);
    const source = `copied/${this.#options.number}/${from}`;
    const ways: Way[] = [{ need: WRITES_ANYTHING, sets: etag }];
    await this.#call(`put ${source}`, { storesBytes: true }, async (client) => {
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: source, Body: bytes }));
      await this.#call(`copy to ${to}`, { maybe: [{ path: to, ways }] }, async () => {
        const CopySource = `${BUCKET}/${source.split("/").map(encodeURIComponent).join("/")}`;
        await client.send(new CopyObjectCommand({ Bucket: BUCKET, Key: to, CopySource }));
        return [{ path: to, ways }];
      });
      return [];
    });
  }

  async #multipart(key: string): Promise<void> {
    const { bytes, content } = this.#content(PART_BYTES + 4_096);
    const parts = [bytes.subarray(0, PART_BYTES), bytes.subarray(PART_BYTES)];
    const digests = parts.map((part) => createHash("md5").update(part).digest());
    const etag = `"${createHash("md5").update(Buffer.concat(digests)).digest("hex")}-${parts.length}"`;
    this.#note(etag, content);
    const ways: Way[] = [{ need: WRITES_ANYTHING, sets: etag }];
    await this.#call(`upload ${key}`, {}, async (client) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: key }));
      const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
      for (const [index, Body] of parts.entries()) {
        const part = { Bucket: BUCKET, Key: key, UploadId, PartNumber: index + 1, Body };
        Parts.push({ PartNumber: index + 1, ETag: (await client.send(new UploadPartCommand(part))).ETag });
      }
      await this.#call(`complete ${key}`, { maybe: [{ path: key, ways }] }, async () => {
        const whole = { Bucket: BUCKET, Key: key, UploadId, MultipartUpload: { Parts } };
        await client.send(new CompleteMultipartUploadCommand(whole));
        return [{ path: key, ways }];
      });
      return [];
    });
  }

  /** Makes one call and notes what came of it. */
  async #call(
    label: string,
    { maybe = [], must = false, storesBytes = false }: CallTraits,
    run: (client: S3Client) => Promise<readonly Finding[]>,
  ): Promise<void> {
    const { client, history, answers, violation, stored, refused, mayBeSkewed } = this.#options;
    const open = history.call(label);
    const begunAtMs = performance.now();
    try {
      const findings = await run(client);
      history.answered(open, findings);
      answers.ok++;
      if (storesBytes) stored(label, begunAtMs);
    } catch (error) {
      const key = label.slice(label.indexOf(" ") + 1);
      const status = statusOf(error);
      if (status === 404 && /^(get|head) /.test(label)) {
        history.answered(open, [found(key, undefined)]);
        answers.ok++;
        return;
      }
      if (must) throw error;
      history.unanswered(open, maybe);
      answers.refused++;
      const isExpected = status === undefined || status >= 500 || (status === 403 && mayBeSkewed());
      if (!isExpected) violation(`${label} was answered ${status}: ${String(error)}`);
      refused(label, error, begunAtMs);
    }
  }

  /** Bytes that nobody else writes. */
  #content(length: number): { bytes: Buffer; etag: string; content: Content } {
    this.#writes += 1;
    const content = { length, seed: this.#options.number * 1_000_003 + this.#writes };
    const bytes = patternBytes(content.length, content.seed);
    const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
    this.#note(etag, content);
    return { bytes, etag, content };
  }

  #note(etag: string, content: Content): void {
    this.#options.contents.set(etag, content);
    this.#options.history.noteVersion(etag, etag);
  }
}

function found(key: string, etag: string | undefined): Finding {
  return { path: key, ways: [{ need: etag === undefined ? { is: "absent" } : { is: "version", version: etag } }] };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}
