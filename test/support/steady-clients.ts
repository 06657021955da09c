/**
 * Clients that put, get, list and delete without a pause until they are told to stop, each on keys of its own, and notice
 * every answer that is not what it must be. Black-box: nothing here imports src/.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

const KEYS_PER_CLIENT = 20;
/** One in so many puts is longer than the buffer of a target, so that it is streamed. */
const LONG_EVERY = 25;
const LONG_BYTES = 3 * 2 ** 20;

export class SteadyClients {
  /** What went wrong, in words. */
  readonly failures: string[] = [];
  operations = 0;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #contents = new Map<string, string>();
  readonly #running: Promise<void>[];
  #stopped = false;

  constructor(client: S3Client, bucket: string, count: number) {
    this.#client = client;
    this.#bucket = bucket;
    this.#running = Array.from({ length: count }, (_, number) => this.#run(number));
  }

  /** Resolves when so many more operations have ended. */
  async progress(count: number): Promise<void> {
    const until = this.operations + count;
    while (this.operations < until && this.failures.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Resolves when all have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Reads everything once more. @returns how many objects there are */
  async verify(): Promise<number> {
    for (const key of this.#contents.keys()) await this.#attempt(`get ${key}`, () => this.#get(key));
    return this.#contents.size;
  }

  async #run(number: number): Promise<void> {
    for (let round = 0; !this.#stopped; round++) {
      const key = `client-${number}/key-${round % KEYS_PER_CLIENT}`;
      const known = this.#contents.has(key);
      if (round % 7 === 3) await this.#attempt(`list ${number}`, () => this.#list(number));
      else if (known && round % 5 === 1) await this.#attempt(`delete ${key}`, () => this.#delete(key));
      else await this.#attempt(`put ${key}`, () => this.#put(key, round));
      if (this.#contents.has(key)) await this.#attempt(`get ${key}`, () => this.#get(key));
    }
  }

  async #attempt(what: string, operation: () => Promise<void>): Promise<void> {
    try {
      await operation();
    } catch (error) {
      this.failures.push(`${what}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
    }
    this.operations++;
  }

  async #put(key: string, round: number): Promise<void> {
    const text = `${key} in round ${round} `;
    const content = round % LONG_EVERY === 0 ? text.repeat(Math.ceil(LONG_BYTES / text.length)) : text;
    await this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: content }));
    this.#contents.set(key, content);
  }

  async #get(key: string): Promise<void> {
    const answer = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }));
    if ((await answer.Body?.transformToString()) !== this.#contents.get(key)) throw new Error("it has other bytes");
  }

  async #delete(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }));
    this.#contents.delete(key);
  }

  async #list(number: number): Promise<void> {
    const prefix = `client-${number}/`;
    const answer = await this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix }));
    const listed = (answer.Contents ?? []).map(({ Key }) => Key ?? "").toSorted();
    const expected = [...this.#contents.keys()].filter((key) => key.startsWith(prefix)).toSorted();
    if (JSON.stringify(listed) !== JSON.stringify(expected)) {
      throw new Error(`it shows ${listed.length} keys instead of ${expected.length}`);
    }
  }
}
